// A checkpoint brought back to life for looking at it: `eval` and `generate`.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>

#include "data/prepared.h"
#include "model/language_model.h"
#include "ops/context.h"
#include "store/checkpoint_store.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/run_config.h"

namespace sluice::train {

struct OpenedCheckpoint {
  store::Checkpoint checkpoint;  // verified
  RunConfig config;              // resolved; with the paths of the run's own config.yaml where the checkpoint lies in a run
  CheckpointState state;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<model::LanguageModel> model;  // without gradients, in the precision of the training
  c10::Device device = c10::kCPU;               // that of the training where this machine has it, else the CPU
};

// The newest checkpoint that verifies, with a warning for each one passed over.
struct Newest {
  std::optional<store::Checkpoint> checkpoint;
  std::size_t num_damaged = 0;
};
Newest newest_checkpoint(const store::CheckpointStore& checkpoints);

// A run directory stands for its newest checkpoint that verifies (a warning names those passed over), a checkpoint for itself.
// kMissingInput where there is neither, kNoCheckpoint where a run has none that verifies, kBadData for a damaged checkpoint.
store::Checkpoint find_checkpoint(const std::filesystem::path& run_or_checkpoint);
OpenedCheckpoint open_checkpoint(const std::filesystem::path& run_or_checkpoint);

// The prepared data of the training, found by its fingerprint. The second form reads configuration and state, but no weights.
data::PreparedData open_data(const OpenedCheckpoint& opened);
data::PreparedData open_data(const store::Checkpoint& verified);

// Fixes the number of threads of LibTorch, and at the first call its other settings (ops/torch_compat.h).
void use_threads(std::int64_t num_threads);

}  // namespace sluice::train
