// How runs that are active at the same time share the machine.
#pragma once

#include <filesystem>
#include <optional>

#include "compare/executor.h"
#include "compare/mps.h"
#include "compare/planner.h"

namespace sluice::compare {

// MPS lasts as long as this object.
class Sharing {
 public:
  // `gpu`: Planner::shared_gpu().
  Sharing(const SessionOptions& options, const RunFactory& factory, std::optional<SharedGpu> gpu);

  // Number of parallel runs. If they fail under an MPS daemon that was started here, tries again
  // without it.
  int jobs(const Planner& planner, const std::filesystem::path& directory);
  // After jobs(): the environment of each process, and the process whose threads are the runs;
  // nullopt: one process per run.
  Environment environment() const { return gpu_ ? gpu_->environment : Environment{}; }
  std::optional<WorkerCommand> worker() const;

 private:
  void choose_worker();

  const SessionOptions& options_;
  std::optional<SharedGpu> gpu_;
  std::optional<Mps> mps_;
  WorkerCommand worker_;
  bool uses_worker_ = false;
};

}  // namespace sluice::compare
