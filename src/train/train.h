// The loop: steps, and observers around them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "data/batch_source.h"
#include "train/progress.h"
#include "train/resolve.h"
#include "train/run_config.h"
#include "train/train_step.h"

namespace sluice::train {

// What a run needs, borrowed.
struct Run {
  model::LanguageModel& model;
  optim::Optimizer& optimizer;
  const data::TrainingBatches& batches;
  const ResolvedRun& resolved;
  at::Device device = at::kCPU;
  // `divergence.policy: rollback`: brings model and optimizer back to an earlier checkpoint and returns where that one stands.
  std::function<Progress()> return_to_checkpoint{};
};

// Told after a step; reads device values when it chooses to.
struct Event {
  const Progress& progress;  // on saving steps and the last one with all of `unjudged`
  const StepStats& stats;
  double lr = 0;
  bool last = false;      // no step follows: finished, interrupted or diverged
  bool diverged = false;  // the policy halts: nothing is to be saved
};

// An observer, called after every `steps`-th step and after the last one; 0: after the last only. Watching never changes the run.
// After an interruption the last step can be told twice.
struct Every {
  std::int64_t steps = 1;
  std::function<void(const Event&)> observe;
};

// What all steps of a run share; step, learning rate and limits are the loop's to set.
StepConfig step_config_of(const RunConfig& config, at::Device device);

// Runs from `progress` to the run's last step or until a stop is requested; returns where it stands. Throws kDiverged as the policy says.
Progress train(const Run& run, Progress progress, std::span<const Every> observers);

}  // namespace sluice::train
