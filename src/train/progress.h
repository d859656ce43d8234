// Where a run stands. All of it goes into checkpoints, so that a resumed run knows what the unbroken one would.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "config/field.h"

namespace sluice::train {

// What the host will know of a step once it reads the device values.
struct StepValues {
  static constexpr bool as_list = true;
  double loss = 0, grad_norm = 0;
  bool applied = true;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{field<&StepValues::loss>("Loss."), field<&StepValues::grad_norm>("Gradient norm."),
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
  std::vector<StepValues> unjudged{};

  static constexpr auto fields() {
    using config::field, config::NonNegative;
    using P = Progress;
    return std::tuple{field<&P::step>("Finished optimizer steps, skipped ones included.", NonNegative{}),
                      field<&P::data_step>("The next batch: `step` plus what rollbacks left out."),
                      field<&P::tokens>("Target tokens of the finished steps."),
                      field<&P::num_events>("Divergence events so far.", NonNegative{}),
                      field<&P::loss_mean>("Running mean of the loss, which spikes are measured against.", NonNegative{}),
                      field<&P::norm_mean>("The same of the gradient norm.", NonNegative{}),
                      field<&P::num_means>("Steps in these means.", NonNegative{}),
                      field<&P::unjudged>("Steps since divergence was last looked for; at most 7.")};
  }
  static void check(const Progress& progress, config::Problems& problems);
};

}  // namespace sluice::train
