// A checkpoint opened for export: in fp32 on the CPU, whatever the run was trained with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "interop/config_json.h"
#include "model/language_model.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/run_config.h"

namespace sluice::interop {

struct ExportRequest {
  std::filesystem::path run;         // run directory or checkpoint
  std::optional<std::int64_t> step;  // of a checkpoint of the run; none: the newest
  std::filesystem::path out;         // new or empty
};

struct ExportSource {
  store::Checkpoint checkpoint;        // verified
  std::optional<store::RunPaths> run;  // that contains the checkpoint
  train::RunConfig config;             // resolved, without paths
  train::CheckpointState state;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<model::LanguageModel> model;
  ModelFacts facts;
};

// Errors: as run::find_checkpoint; kMissingInput if the run has no checkpoint of that step.
ExportSource open_source(const ExportRequest& request);

}  // namespace sluice::interop
