// Where a run stands. All of it goes into checkpoints, so that a resumed run knows what the unbroken one would.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::train {

// What the host will know of a step once it reads the device values.
struct StepValues {
  double loss = 0, grad_norm = 0;
  bool applied = true;
};

struct Progress {
  std::int64_t step = 0;                // finished optimizer steps, skipped ones included
  std::uint64_t data_step = 0;          // next batch: step plus what rollbacks left out
  std::uint64_t tokens = 0;             // target tokens of the finished steps
  std::int64_t num_events = 0;          // divergence events so far
  double loss_mean = 0, norm_mean = 0;  // running means that spikes are measured against
  std::int64_t num_means = 0;           // steps in them
  std::vector<StepValues> unjudged{};   // steps since the last judgement (divergence.h)
};

}  // namespace sluice::train
