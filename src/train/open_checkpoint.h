// A checkpoint brought back to life for looking at it: `eval` and `generate`.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/prepared.h"
#include "model/language_model.h"
#include "ops/context.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/resolve.h"

namespace sluice::train {

struct OpenedCheckpoint {
  store::Checkpoint checkpoint;  // verified
  ResolvedRun run;               // with the paths of the run's own config.yaml where the checkpoint lies in a run
  CheckpointState state;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<model::LanguageModel> model;  // without gradients, in the precision of the training
  c10::Device device = c10::kCPU;               // that of the training where this machine has it, else the CPU
};

// The warning for a damaged checkpoint that is skipped. `reason`: what verify_checkpoint() says, which names the file.
void warn_of_damage(std::string_view reason);

// The newest checkpoint that verifies, with a warning for each damaged one. For `train --resume`, which does the steps again.
struct Newest {
  std::optional<store::Checkpoint> checkpoint;
  std::vector<store::DamagedCheckpoint> damaged;  // those that were skipped
};
Newest newest_checkpoint(const store::CheckpointStore& checkpoints);

// What a command that reports does where the run's newest checkpoint is damaged or gone.
enum class Older {
  kRefuse,
  kAccept,  // takes the newest one that verifies, with a warning
};

// A run directory stands for its newest checkpoint, a checkpoint for itself. The newest one is known by its directory, and by result.json
// of a finished run; temporaries and metrics say nothing, since a save that did not complete leaves them too.
// kMissingInput where there is neither, kNoCheckpoint where the newest one of a run does not verify, kBadData for a damaged checkpoint.
store::Checkpoint find_checkpoint(const std::filesystem::path& run_or_checkpoint, Older older = Older::kRefuse);
OpenedCheckpoint open_checkpoint(const std::filesystem::path& run_or_checkpoint, Older older = Older::kRefuse);

// A directory that has a manifest, or the name of a checkpoint: one whose manifest is gone is a damaged checkpoint.
bool is_checkpoint(const std::filesystem::path& path);

// The step of a checkpoint that the run had and that is newer than `found`, with what is wrong with it.
struct Lost {
  std::int64_t step = 0;
  std::string reason;
};
// `saved_step`: see saved_step_of(), read before the directory was looked at, so that a run that is just finishing is not misread.
std::optional<Lost> find_lost(std::int64_t found, std::optional<std::int64_t> saved_step,
                              const std::vector<store::DamagedCheckpoint>& damaged);
// What result.json says of the last checkpoint; nothing where there is none, or where it is damaged.
std::optional<std::int64_t> saved_step_of(const store::RunPaths& run);

// The prepared data of the training, found by its fingerprint wherever the run was started (places.h). The second form reads configuration and state, but no weights.
data::PreparedData open_data(const OpenedCheckpoint& opened);
data::PreparedData open_data(const store::Checkpoint& verified);

}  // namespace sluice::train
