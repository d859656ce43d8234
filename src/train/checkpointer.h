// Saving a run's state and going back to it: what is saved, when, and what is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/prepared.h"
#include "store/checkpoint_store.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/resolve.h"

namespace sluice::train {

// Borrows what it is made from.
class Checkpointer {
 public:
  Checkpointer(store::CheckpointStore& store, ops::Parameters& parameters, optim::Optimizer& optimizer, const data::PreparedData& data,
               const ResolvedRun& run);

  std::uint64_t size_bytes() const { return size_bytes_; }  // of one checkpoint, close enough for the space check

  // Saves, after the metrics; deletes older checkpoints after scheduled steps and the last one. Does nothing where the newest
  // checkpoint is of that step and names the same best evaluation. kDiverged for weights that are not finite.
  void save(const Progress& progress, const std::optional<BestEvaluation>& best, Metrics& metrics);

  // Model and optimizer as in a checkpoint that has been verified.
  CheckpointState restore(const std::filesystem::path& checkpoint);
  // The same from the newest scheduled checkpoint that verifies. kNoCheckpoint where there is none.
  CheckpointState restore_newest();

 private:
  store::CheckpointStore& store_;
  ops::Parameters& parameters_;
  const ResolvedRun& run_;
  Savable savable_;
  std::string fingerprint_;
  std::uint64_t size_bytes_;
  std::int64_t saved_step_ = -1;            // the newest checkpoint's
  std::optional<std::int64_t> saved_best_;  // the step of the best evaluation that it names
};

}  // namespace sluice::train
