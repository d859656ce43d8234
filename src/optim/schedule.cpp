#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sluice::optim {
namespace {

// Progress after the warm-up: 0 at its end, 1 at the end of the run.
double decay_progress(std::int64_t step, std::int64_t warmup_steps, std::int64_t total_steps) {
  return static_cast<double>(step - warmup_steps) /
         static_cast<double>(std::max<std::int64_t>(total_steps - warmup_steps, 1));
}

double after_warmup(const ConstantSchedule&, std::int64_t, std::int64_t) { return 1; }

double after_warmup(const LinearSchedule& c, std::int64_t step, std::int64_t total_steps) {
  return 1 - (1 - c.final_fraction) * decay_progress(step, c.warmup_steps, total_steps);
}

double after_warmup(const CosineSchedule& c, std::int64_t step, std::int64_t total_steps) {
  const double wave =
      (1 + std::cos(std::numbers::pi * decay_progress(step, c.warmup_steps, total_steps))) / 2;
  return c.final_fraction + (1 - c.final_fraction) * wave;
}

double after_warmup(const InverseSqrtSchedule& c, std::int64_t step, std::int64_t) {
  return std::sqrt(static_cast<double>(std::max<std::int64_t>(c.warmup_steps, 1)) /
                   static_cast<double>(step + 1));
}

double after_warmup(const WsdSchedule& c, std::int64_t step, std::int64_t total_steps) {
  const double decay_steps = c.decay_fraction * static_cast<double>(total_steps);
  const double left =
      decay_steps > 0 ? std::min(static_cast<double>(total_steps - step) / decay_steps, 1.0) : 1.0;
  return c.final_fraction + (1 - c.final_fraction) * left;
}

template <class Schedule>
double factor(const Schedule& c, std::int64_t step, std::int64_t total_steps) {
  if (step < c.warmup_steps)
    return static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  return after_warmup(c, step, total_steps);
}

// If the decay begins before the warm-up ends, the lower rate applies, so the rate never jumps. A
// warm-up as long as the run leaves no decay.
double factor(const WsdSchedule& c, std::int64_t step, std::int64_t total_steps) {
  const double decayed = after_warmup(c, step, total_steps);
  if (step >= c.warmup_steps) return decayed;
  const double warmed_up = static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  const bool decays =
      c.warmup_steps < total_steps &&
      static_cast<double>(total_steps - step) < c.decay_fraction * static_cast<double>(total_steps);
  return decays ? std::min(warmed_up, decayed) : warmed_up;
}

double factor(const T5Schedule& c, std::int64_t step, std::int64_t total_steps) {
  const std::int64_t total = c.total_steps.value_or(total_steps);
  const double decay_steps = c.decay_fraction * static_cast<double>(total);
  const double left =
      decay_steps > 0 ? std::clamp(static_cast<double>(total - step) / decay_steps, 0.0, 1.0) : 1.0;
  return left / std::sqrt(static_cast<double>(std::max(step, c.constant_steps)));
}

}  // namespace

double schedule_factor(const ScheduleConfig& config, std::int64_t step, std::int64_t total_steps) {
  invariant(step >= 0 && step < total_steps, "schedule_factor: step outside the run");
  return std::visit([&](const auto& c) { return factor(c, step, total_steps); }, config);
}

double highest_factor(const ScheduleConfig& config, std::int64_t total_steps) {
  if (std::holds_alternative<T5Schedule>(config)) return 1;
  // The rate rises to its maximum and never rises again.
  std::int64_t low = 0, high = total_steps - 1;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    const double now = schedule_factor(config, middle, total_steps);
    const bool rises = schedule_factor(config, middle + 1, total_steps) > now;
    rises ? low = middle + 1 : high = middle;
  }
  return schedule_factor(config, low, total_steps);
}

}  // namespace sluice::optim
