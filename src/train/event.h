// Events of the training loop, passed to callbacks.
#pragma once

#include <cstdint>
#include <functional>

#include "train/progress.h"
#include "train/train_step.h"

namespace sluice::train {

// A finished step. Device values are read only if a callback reads them.
struct Event {
  const Progress& progress;  // `pending` is complete on steps that save and on the last step
  const StepStats& stats;
  double lr = 0;
  bool last = false;      // no step follows: finished, interrupted or diverged
  bool diverged = false;  // the policy halts; nothing may be saved
};

// Called after every `every`-th step and after the last one; 0: only after the last. After an
// interruption it can be called twice for the last step. Callbacks never change the run.
struct Callback {
  std::int64_t every = 1;
  std::function<void(const Event&)> function;
};

}  // namespace sluice::train
