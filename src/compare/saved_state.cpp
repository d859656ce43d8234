#include "compare/saved_state.h"

#include <vector>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/progress.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

constexpr int kSignalEnd = 128;

bool saved_before_exit(int exit_code) {
  return exit_code == static_cast<int>(ExitCode::kInterrupted);
}

}  // namespace

bool is_stopped(int exit_code) {
  return saved_before_exit(exit_code) || !stop_signal_name(exit_code - kSignalEnd).empty();
}

StoppedRun stopped_run(const std::filesystem::path& run_dir, int exit_code) {
  using Kind = StoppedRun::Kind;
  const store::RunPaths paths{run_dir};
  std::vector<store::DamagedCheckpoint> damaged;
  const auto newest = store::CheckpointStore(paths.checkpoints()).newest_valid(&damaged);
  const std::int64_t reached = last_progress(paths.metrics()).value_or(Progress{}).step;
  const std::string by = saved_before_exit(exit_code)
                             ? ""
                             : cat(": terminated by ", stop_signal_name(exit_code - kSignalEnd));
  if (!newest && damaged.empty() && reached == 0)
    return {Kind::kNotStarted, cat("interrupted", by, " before its first step")};
  if (!newest) return {Kind::kUnsaved, cat("interrupted", by, "; no valid checkpoint")};
  const std::int64_t step = newest->manifest.step;
  if (!by.empty())
    return {Kind::kUnsaved, cat("interrupted", by, "; newest checkpoint: step ", step)};
  if (step < reached)
    return {Kind::kUnsaved,
            cat("interrupted at step ", reached, "; newest checkpoint: step ", step)};
  return {Kind::kSaved, cat("interrupted, step ", step, " saved")};
}

}  // namespace sluice::compare
