#include "compare/sharing.h"

#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"

namespace sluice::compare {

Sharing::Sharing(const SessionOptions& options, const RunFactory& factory,
                 std::optional<SharedGpu> gpu)
    : options_(options),
      gpu_(std::move(gpu)),
      worker_{.command = factory.worker_command(), .output = options.directory / "worker.txt"} {
  if (gpu_ && options.runs_in != RunsIn::kThreads) {
    mps_.emplace();
    gpu_->has_mps = mps_->is_active();
    gpu_->environment = mps_->environment();
  }
  choose_worker();
}

void Sharing::choose_worker() {
  const bool takes_turns = gpu_.has_value() && !gpu_->has_mps;
  uses_worker_ =
      options_.runs_in == RunsIn::kThreads ||
      (options_.runs_in == RunsIn::kAuto && takes_turns && options_.jobs <= kMaxGpuThreads);
  if (gpu_) gpu_->worker = worker();
}

std::optional<WorkerCommand> Sharing::worker() const {
  return uses_worker_ ? std::optional(worker_) : std::nullopt;
}

int Sharing::jobs(const Planner& planner, const std::filesystem::path& directory) {
  try {
    return planner.jobs(directory, gpu_, worker());
  } catch (const UserError& error) {
    const bool started = gpu_ && gpu_->has_mps && !gpu_->environment.empty();
    if (error.code() != ExitCode::kUsage || !started) throw;
    log::warn(cat("measuring again without MPS: ", error.what()));
  }
  mps_.reset();
  gpu_->has_mps = false;
  gpu_->environment.clear();
  choose_worker();
  return planner.jobs(directory, gpu_, worker());
}

}  // namespace sluice::compare
