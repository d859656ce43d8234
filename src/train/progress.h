// Progress of a run. Checkpoints store all of it, so a resumed run behaves like an uninterrupted
// one.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "config/field.h"

namespace sluice::train {

// Values of a step after the host has read them from the device.
struct StepValues {
  static constexpr bool as_list = true;
  double loss = 0, grad_norm = 0;
  bool applied = true;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{field<&StepValues::loss>("Loss."),
                      field<&StepValues::grad_norm>("Gradient norm."),
                      field<&StepValues::applied>("Whether the step was applied.")};
  }
};

struct Progress {
  std::int64_t step = 0;
  std::uint64_t data_step = 0;
  std::uint64_t tokens = 0;
  std::int64_t num_events = 0;
  double loss_mean = 0, norm_mean = 0;
  std::int64_t num_means = 0;
  std::vector<StepValues> pending{};

  static constexpr auto fields() {
    using config::field, config::NonNegative;
    using P = Progress;
    return std::tuple{
        field<&P::step>("Finished optimizer steps, skipped ones included.", NonNegative{}),
        field<&P::data_step>(
            "Index of the next batch: `step` plus the batches skipped by rollbacks."),
        field<&P::tokens>("Target tokens of the finished steps."),
        field<&P::num_events>("Divergence events so far.", NonNegative{}),
        field<&P::loss_mean>("Running mean of the loss, the reference for spikes.", NonNegative{}),
        field<&P::norm_mean>("Running mean of the gradient norm.", NonNegative{}),
        field<&P::num_means>("Number of steps in the running means.", NonNegative{}),
        field<&P::pending>("Steps since the last update of the running means; at most 7.",
                           config::Key{"unjudged"})};
  }
  static void check(const Progress& progress, config::Problems& problems);
};

}  // namespace sluice::train
