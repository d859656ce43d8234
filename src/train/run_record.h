// RUN/run.json: what made this run, for people. Read back: `working_directory` (places.h), `settings` (start_settings.h), and the hashes of data
// and tokenizer (verify_run.h).
#pragma once

#include <cstdint>
#include <string>

#include "data/prepared.h"
#include "train/resolve.h"
#include "train/start_settings.h"

namespace sluice::train {

struct RunRecord {
  const ResolvedRun& run;
  const data::PreparedData& data;
  std::int64_t num_parameters = 0;
  const std::string& command_line;
  const StartSettings& settings;
};

// Program and LibTorch versions, machine, command, hashes of data and tokenizer, as JSON.
std::string run_record(const RunRecord& record);

}  // namespace sluice::train
