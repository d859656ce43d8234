#include "train/checkpointer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::train {
namespace {

// In pieces: isfinite allocates 7 bytes of temporaries per element, which would be the peak memory
// of a run with large weights.
bool all_finite(const at::Tensor& flat) {
  constexpr std::int64_t kPiece = 1 << 20;
  const std::vector<at::Tensor> pieces = flat.split(kPiece);
  return std::all_of(pieces.begin(), pieces.end(), [](const at::Tensor& piece) {
    return at::isfinite(piece).all().item<bool>();
  });
}

// A finite update can still overflow a weight in fp32; such weights are never saved.
void require_finite(const Savable& savable, std::int64_t saved_step) {
  const at::NoGradGuard no_grad;
  bool is_finite = all_finite(savable.parameters.master());
  if (savable.optimizer.shards().of_parameters) {  // each process has others
    const std::vector<bool> all = savable.group->gather_flags(is_finite);
    is_finite = std::count(all.begin(), all.end(), false) == 0;
  }
  if (!is_finite)
    fail(ExitCode::kDiverged, "training",
         cat("non-finite weights, checkpoint not saved; last good checkpoint: step ", saved_step,
             "; lower the learning rate"));
}

std::optional<std::int64_t> step_of(const std::optional<BestEvaluation>& best) {
  return best ? std::optional(best->step) : std::nullopt;
}

}  // namespace

Checkpointer::Checkpointer(store::CheckpointStore& store, ops::Parameters& parameters,
                           optim::Optimizer& optimizer, const data::PreparedData& data,
                           const ResolvedRun& run, dist::Group* group)
    : store_(store),
      parameters_(parameters),
      run_(run),
      savable_{parameters, optimizer, *data.tokenizer, run.config, group},
      fingerprint_(data.fingerprint),
      size_bytes_(checkpoint_bytes(savable_)) {}

void Checkpointer::save(const Progress& progress, const std::optional<BestEvaluation>& best,
                        Metrics& metrics, const std::function<void()>& before_commit) {
  const std::optional<std::int64_t> best_step = step_of(best);
  if (progress.step == saved_step_ && best_step == saved_best_) return;
  require_finite(savable_, saved_step_);
  saved_step_ = progress.step;
  saved_best_ = best_step;
  if (savable_.group != nullptr && savable_.group->rank() != 0) {
    send_parts(savable_);
    if (before_commit) before_commit();
    return;
  }
  metrics.flush();
  const CheckpointState state{progress, best, fingerprint_};
  store_.require_space(size_bytes_);
  store_.save(progress.step, checkpoint_files(savable_, state), checkpoint_notes(savable_, state),
              before_commit);
  // An unscheduled save deletes nothing, so an interrupted run keeps the checkpoints that an
  // uninterrupted one would roll back to.
  if (!run_.is_scheduled_save(progress.step) && !run_.is_last(progress.step)) return;
  const store::CheckpointConfig& config = run_.config.checkpoint;
  for (const store::DamagedCheckpoint& one :
       store_.retain(config.keep_last, config.keep_best ? best_step : std::nullopt))
    warn_of_damage(one.reason);
}

CheckpointState Checkpointer::restore(const std::filesystem::path& checkpoint) {
  CheckpointState state = read_state(checkpoint);
  train::restore(checkpoint, parameters_, savable_.optimizer);
  saved_step_ = state.progress.step;
  saved_best_ = step_of(state.best);
  return state;
}

CheckpointState Checkpointer::restore_newest() {
  std::vector<std::int64_t> steps = store_.steps();
  std::reverse(steps.begin(), steps.end());
  std::stable_partition(steps.begin(), steps.end(),
                        [&](std::int64_t step) { return run_.is_scheduled_save(step); });
  for (const std::int64_t step : steps) {
    const std::filesystem::path directory = store_.directory() / store::checkpoint_name(step);
    try {
      store::verify_checkpoint(directory);
    } catch (const UserError& error) {
      warn_of_damage(error.what());
      continue;
    }
    return restore(directory);
  }
  fail(ExitCode::kNoCheckpoint, store_.directory().string(), "no valid checkpoint to roll back to");
}

}  // namespace sluice::train
