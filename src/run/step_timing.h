// Times steps on a device that may run behind the host.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/rendezvous.h"

namespace sluice::run {

// Steps are timed in groups that start and end with a device that has nothing to do: a single step
// of a GPU would count the time to start it, which training hides behind the step before.
struct StepGroups {
  std::int64_t num_warm_up = 1;  // steps before the first group
  std::int64_t num_groups = 1;
  std::int64_t steps_per_group = 1;
};
struct TimedSteps {
  std::function<void(std::uint64_t step)> prepare;  // not timed; before the steps of a group
  std::function<void(std::uint64_t step)> run;
  std::function<void()> synchronize;  // waits for the device
  std::function<double()> now = monotonic_s;
};
// Seconds per step: the median of the groups. Together with `others`, all begin after their warm-up
// and go on until all are timed; if they ask for a period, its length over its number of steps.
double time_steps(const StepGroups& groups, const TimedSteps& steps,
                  const std::optional<Rendezvous>& others = {});

double median(std::vector<double> seconds);

}  // namespace sluice::run
