#include "run/step_timing.h"

namespace sluice::run {

std::vector<double> time_steps(const StepGroups& groups, const TimedSteps& steps) {
  std::uint64_t next = 0;
  const auto time_of = [&](std::int64_t count) {
    const std::uint64_t begin = next;
    next += static_cast<std::uint64_t>(count);
    for (std::uint64_t step = begin; step < next; ++step) steps.prepare(step);
    steps.synchronize();
    const double begin_s = steps.now();
    for (std::uint64_t step = begin; step < next; ++step) steps.run(step);
    steps.synchronize();
    return (steps.now() - begin_s) / static_cast<double>(count);
  };
  for (std::int64_t i = 0; i < groups.num_warm_up; ++i) time_of(1);
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < groups.num_groups; ++i)
    seconds.push_back(time_of(groups.steps_per_group));
  return seconds;
}

}  // namespace sluice::run
