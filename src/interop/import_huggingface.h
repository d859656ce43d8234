// `sluice import`: a run whose step 0 has the weights of a Hugging Face model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "interop/model_files.h"
#include "train/run_config.h"

namespace sluice::interop {

struct ImportRequest {
  ModelFiles files;
  std::filesystem::path out;  // run directory, new or empty
  // For further training; its sections model and tokenizer are replaced. none: a run for `eval`,
  // `generate` and `export` only.
  std::optional<train::RunConfig> config{};
  std::string command_line{};  // for run.json
};

struct Imported {
  std::string class_name;
  std::int64_t num_parameters = 0;
};

// With a configuration, prepares its corpus. kBadData names the file and the key or tensor that is
// wrong or not supported; kUsage for an `out` that is not empty, or a configuration that does not
// fit the model; kInterrupted if stopped. `out` then does not exist.
Imported import_huggingface(const ImportRequest& request);

}  // namespace sluice::interop
