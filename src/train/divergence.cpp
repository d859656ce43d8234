#include "train/divergence.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/log.h"
#include "base/text_format.h"

namespace sluice::train {
namespace {

std::int64_t num_rejected(const Progress& progress) {
  return std::count_if(progress.pending.begin(), progress.pending.end(),
                       [](const StepValues& v) { return !v.applied; });
}

}  // namespace

void Progress::check(const Progress& progress, config::Problems& problems) {
  if (progress.pending.size() >= static_cast<std::size_t>(kDivergenceInterval))
    problems.add("unjudged", cat(progress.pending.size(), " steps"),
                 cat("fewer than ", kDivergenceInterval, " steps"));
}

std::vector<StepValues> read_values(std::span<const StepStats> steps) {
  if (steps.empty()) return {};
  std::vector<at::Tensor> scalars;
  for (const StepStats& stats : steps)
    scalars.insert(scalars.end(), {stats.loss, stats.grad_norm, stats.applied.to(at::kDouble)});
  const at::Tensor host = at::stack(scalars).to(at::kCPU);
  const auto* numbers = static_cast<const double*>(host.const_data_ptr());
  std::vector<StepValues> values;
  for (std::size_t i = 0; i < steps.size(); ++i, numbers += 3)
    values.push_back({numbers[0], numbers[1], numbers[2] != 0});
  return values;
}

DivergenceAction check_divergence(Progress& progress, std::vector<StepStats>& recent,
                                  const DivergenceConfig& config) {
  const std::vector<StepValues> values = read_values(recent);
  progress.pending.insert(progress.pending.end(), values.begin(), values.end());
  recent.clear();
  const std::int64_t rejected = num_rejected(progress);
  if (rejected == 0) return DivergenceAction::kContinue;
  switch (config.policy) {
    case DivergencePolicy::kHalt:
      return DivergenceAction::kHalt;
    case DivergencePolicy::kSkip:
      return progress.num_events + rejected > config.max_events ? DivergenceAction::kHalt
                                                                : DivergenceAction::kContinue;
    case DivergencePolicy::kRollback:
      return progress.num_events + 1 > config.max_events ? DivergenceAction::kHalt
                                                         : DivergenceAction::kRollback;
  }
  return DivergenceAction::kHalt;
}

void update_means(Progress& progress, const DivergenceConfig& config) {
  if (const std::int64_t rejected = num_rejected(progress); rejected > 0) {
    log::warn(cat("training: ", describe_divergence(progress, config),
                  rejected > 1 ? cat(", and ", rejected - 1, " more") : "", "; skipped"));
    progress.num_events += rejected;
  }
  for (const StepValues& values : progress.pending) {
    if (!values.applied) continue;
    const auto n = static_cast<double>(std::min(++progress.num_means, kMeanSteps));
    progress.loss_mean += (values.loss - progress.loss_mean) / n;
    progress.norm_mean += (values.grad_norm - progress.norm_mean) / n;
  }
  progress.pending.clear();
}

std::string describe_divergence(const Progress& progress, const DivergenceConfig& config) {
  const auto found = std::find_if(progress.pending.begin(), progress.pending.end(),
                                  [](const StepValues& v) { return !v.applied; });
  const std::int64_t step = progress.step - (progress.pending.end() - found) + 1;
  std::string text = cat("step ", step, ": loss ", shortest(found->loss), ", gradient norm ",
                         shortest(found->grad_norm));
  const Limits limits = limits_of(progress, config);
  if (std::isfinite(found->loss) && std::isfinite(found->grad_norm))
    text += cat(", above ", shortest(config.spike_factor), " times their running means (limits ",
                shortest(limits.loss), " and ", shortest(limits.norm), ")");
  return text;
}

Limits limits_of(const Progress& progress, const DivergenceConfig& config) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  if (config.spike_factor == 0 || progress.num_means < kMinMeanSteps) return {kNone, kNone};
  return {config.spike_factor * progress.loss_mean, config.spike_factor * progress.norm_mean};
}

}  // namespace sluice::train
