// RUN/run.json: what made this run, for people. Only `working_directory` is read back (places.h).
#pragma once

#include <cstdint>
#include <string>

#include "data/prepared.h"
#include "train/run_config.h"

namespace sluice::train {

struct RunRecord {
  const RunConfig& config;  // resolved
  const data::PreparedData& data;
  std::int64_t num_parameters = 0;
  const std::string& command_line;
};

// Program and LibTorch versions, machine, command, hashes of data and tokenizer, as JSON.
std::string run_record(const RunRecord& record);

}  // namespace sluice::train
