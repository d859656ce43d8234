#include "run/step_timing.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace sluice::run {
namespace {

class StepTimer {
 public:
  StepTimer(const TimedSteps& steps) : steps_(steps) {}

  // Seconds per step of the next `count` steps.
  double time(std::int64_t count) {
    const std::uint64_t begin = next_;
    next_ += static_cast<std::uint64_t>(count);
    for (std::uint64_t step = begin; step < next_; ++step) steps_.prepare(step);
    steps_.synchronize();
    const double begin_s = steps_.now();
    for (std::uint64_t step = begin; step < next_; ++step) steps_.run(step);
    steps_.synchronize();
    return (steps_.now() - begin_s) / static_cast<double>(count);
  }

 private:
  const TimedSteps& steps_;
  std::uint64_t next_ = 0;
};

}  // namespace

double median(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

double time_steps(const StepGroups& groups, const TimedSteps& steps,
                  const std::optional<Rendezvous>& others) {
  StepTimer timer(steps);
  for (std::int64_t i = 0; i < groups.num_warm_up; ++i) timer.time(1);
  if (others) others->meet("ready");
  const double period_s = others ? others->seconds() : 0, begin_s = steps.now();
  std::vector<double> seconds;
  while (std::ssize(seconds) < groups.num_groups || steps.now() - begin_s < period_s)
    seconds.push_back(timer.time(groups.steps_per_group));
  const double elapsed_s = steps.now() - begin_s;
  if (others) {
    others->arrive("timed");
    while (!others->is_complete("timed")) timer.time(groups.steps_per_group);
  }
  const auto num_steps = static_cast<double>(std::ssize(seconds) * groups.steps_per_group);
  return period_s > 0 ? elapsed_s / num_steps : median(std::move(seconds));
}

}  // namespace sluice::run
