// Opens a checkpoint for `eval` and `generate`.
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

namespace sluice::run {

struct OpenedCheckpoint {
  store::Checkpoint checkpoint;  // verified
  // with the paths of RUN/config.yaml if the checkpoint is in a run
  train::ResolvedRun run;
  train::CheckpointState state;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  // without gradients, in the precision of the training
  std::unique_ptr<model::LanguageModel> model;
  // that of the training if this machine has it, otherwise the CPU
  c10::Device device = c10::kCPU;
};

// The newest checkpoint that verifies; warns of each damaged one. For `train --resume`, which
// repeats the lost steps.
struct NewestCheckpoint {
  std::optional<store::Checkpoint> checkpoint;
  std::vector<store::DamagedCheckpoint> damaged;  // skipped
};
NewestCheckpoint newest_checkpoint(const store::CheckpointStore& checkpoints);

// Whether `eval` and `generate` may use an older checkpoint if the newest is damaged or missing.
enum class OlderCheckpoint {
  kRefuse,
  kAccept,  // uses the newest one that verifies, with a warning
};

// Finds and verifies the newest checkpoint of a run directory, or the given checkpoint. The newest
// one is known from its directory and from result.json of a finished run. Temporaries and metrics
// are ignored, because an incomplete save also leaves them. kMissingInput if the path is neither a
// run nor a checkpoint, kNoCheckpoint if the newest checkpoint of a run does not verify, kBadData
// if the given checkpoint is damaged.
store::Checkpoint find_checkpoint(const std::filesystem::path& run_or_checkpoint,
                                  OlderCheckpoint older = OlderCheckpoint::kRefuse);
OpenedCheckpoint open_checkpoint(const std::filesystem::path& run_or_checkpoint,
                                 OlderCheckpoint older = OlderCheckpoint::kRefuse);

// True for a directory with a manifest or the name of a checkpoint (damaged if it has no manifest).
bool is_checkpoint(const std::filesystem::path& path);

// A lost checkpoint, and the reason.
struct LostCheckpoint {
  std::int64_t step = 0;
  std::string reason;
};
// The newest lost checkpoint after step `found`, if any. `saved_step`: from saved_step_of(); read
// it before listing the directory, so that a run that is just finishing is not reported as lost.
std::optional<LostCheckpoint> find_lost_checkpoint(
    std::int64_t found, std::optional<std::int64_t> saved_step,
    const std::vector<store::DamagedCheckpoint>& damaged);
// The step of the last checkpoint according to result.json; none if it is missing or damaged.
std::optional<std::int64_t> saved_step_of(const store::RunPaths& run);

// The prepared data of the run, found by its fingerprint (places.h). kUsage for a model imported
// without a corpus, whose fingerprint is empty. The second form reads configuration and state, but
// no weights.
data::PreparedData open_data(const OpenedCheckpoint& opened);
data::PreparedData open_data(const store::Checkpoint& verified);

}  // namespace sluice::run
