// Saves and restores the state of a run, and applies checkpoint retention.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "data/prepared.h"
#include "store/checkpoint_store.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/resolve.h"

namespace sluice::train {

// Borrows the constructor's arguments.
class Checkpointer {
 public:
  // `group`: the processes of the run, of which rank 0 writes; nullptr: one process.
  Checkpointer(store::CheckpointStore& store, ops::Parameters& parameters,
               optim::Optimizer& optimizer, const data::PreparedData& data, const ResolvedRun& run,
               dist::Group* group = nullptr);

  // approximate size of one checkpoint, for the check of disk space
  std::uint64_t size_bytes() const { return size_bytes_; }

  // Flushes the metrics and saves; deletes old checkpoints after scheduled steps and the last step.
  // Does nothing if the newest checkpoint has the same step and best evaluation. kDiverged for
  // non-finite weights. `before_commit`: called in all processes, in rank 0 when all is written; if
  // it throws, nothing is saved.
  void save(const Progress& progress, const std::optional<BestEvaluation>& best, Metrics& metrics,
            const std::function<void()>& before_commit = {});

  // Restores model and optimizer from a verified checkpoint.
  CheckpointState restore(const std::filesystem::path& checkpoint);
  // Restores the newest scheduled checkpoint that verifies. kNoCheckpoint if there is none.
  CheckpointState restore_newest();

 private:
  store::CheckpointStore& store_;
  ops::Parameters& parameters_;
  const ResolvedRun& run_;
  Savable savable_;
  std::string fingerprint_;
  std::uint64_t size_bytes_;
  std::int64_t saved_step_ = -1;            // of the newest checkpoint
  std::optional<std::int64_t> saved_best_;  // its step of the best evaluation
};

}  // namespace sluice::train
