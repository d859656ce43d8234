// The components of a run: from the configuration and the checkpoint to continue from to model,
// optimizer and batches.
#pragma once

#include <memory>
#include <optional>

#include "data/batch_source.h"
#include "data/prepared.h"
#include "dist/group.h"
#include "model/language_model.h"
#include "ops/cuda.h"
#include "optim/optimizer.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "train/checkpoint_state.h"
#include "train/resolve.h"

namespace sluice::run {

// The checkpoint to resume from.
struct Start {
  store::Checkpoint checkpoint;
  train::RunConfig config;  // resolved, without paths
  train::CheckpointState state;
};

// The newest checkpoint that verifies; nullopt for a run without one. kNoCheckpoint if the run has
// steps or checkpoints, but none verifies.
std::optional<Start> find_start(store::CheckpointStore& checkpoints, const store::RunPaths& paths);

// Neither copied nor moved, because the components refer to each other.
struct Parts {
  Parts(train::ResolvedRun resolved, data::PreparedData prepared, dist::Group* group);

  train::ResolvedRun run;
  data::PreparedData data;
  std::unique_ptr<data::TrainingBatches> batches;
  c10::Device device;
  ops::DeviceScope scope;
  std::unique_ptr<model::LanguageModel> model;
  std::unique_ptr<optim::Optimizer> optimizer;
};

// Prepares or opens the data and resolves `written`, for a new run or to continue from `start`.
// `group`: the other processes of the run, borrowed; nullptr: none. Errors: see run_training().
std::unique_ptr<Parts> make_parts(const train::RunConfig& written, const store::RunPaths& paths,
                                  const Start* start, dist::Group* group);

}  // namespace sluice::run
