// What callbacks are told.
#pragma once

#include <cstdint>
#include <functional>

#include "train/progress.h"
#include "train/train_step.h"

namespace sluice::train {

// After a step. Device values are read when a callback chooses to.
struct Event {
  const Progress& progress;  // on saving steps and the last one with all of `unjudged`
  const StepStats& stats;
  double lr = 0;
  bool last = false;      // no step follows: finished, interrupted or diverged
  bool diverged = false;  // the policy halts: nothing is to be saved
};

// Called after every `every`-th step and after the last one; 0: after the last only. After an interruption the last step can be told
// twice. It never changes the run.
struct Callback {
  std::int64_t every = 1;
  std::function<void(const Event&)> function;
};

}  // namespace sluice::train
