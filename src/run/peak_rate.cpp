#include "run/peak_rate.h"

#include "base/text_format.h"

namespace sluice::run {

std::string unreached_peak_warning(const train::ResolvedRun& run) {
  constexpr double kEnough = 0.995;
  const std::int64_t steps = run.steps;
  const double highest = optim::highest_factor(run.config.schedule, steps);
  if (highest >= kEnough) return "";
  const auto warmup = std::visit(
      [](const auto& c) -> std::int64_t {
        if constexpr (requires { c.warmup_steps; }) return c.warmup_steps;
        return 0;
      },
      run.config.schedule);
  const auto* wsd =
      warmup < steps ? std::get_if<optim::WsdSchedule>(&run.config.schedule) : nullptr;
  return cat("schedule: the learning rate reaches at most ", fixed(100 * highest, 0),
             " % of optimizer.lr: warmup_steps ", warmup,
             wsd == nullptr ? ""
                            : cat(" and the decay over the last ",
                                  short_number(100 * wsd->decay_fraction), " %"),
             wsd == nullptr ? " do not fit into the run's " : " overlap within the run's ",
             count_of(steps, "step"));
}

}  // namespace sluice::run
