#include "train/divergence.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/log.h"
#include "base/text_format.h"

namespace sluice::train {
namespace {

std::int64_t num_refused(const Progress& progress) {
  return std::count_if(progress.unjudged.begin(), progress.unjudged.end(), [](const StepValues& v) { return !v.applied; });
}

}  // namespace

void Progress::check(const Progress& progress, config::Problems& problems) {
  if (progress.unjudged.size() >= static_cast<std::size_t>(kJudgeEvery))
    problems.add("unjudged", cat(progress.unjudged.size(), " steps"), cat("fewer than ", kJudgeEvery, " steps"));
}

StepValues read_values(const StepStats& stats) {
  return {stats.loss.item<double>(), stats.grad_norm.item<double>(), stats.applied.item<bool>()};
}

Verdict judge(Progress& progress, std::vector<StepStats>& recent, const DivergenceConfig& config) {
  for (const StepStats& stats : recent) progress.unjudged.push_back(read_values(stats));
  recent.clear();
  const std::int64_t refused = num_refused(progress);
  if (refused == 0) return Verdict::kGoOn;
  switch (config.policy) {
    case DivergencePolicy::kHalt:
      return Verdict::kHalt;
    case DivergencePolicy::kSkip:
      return progress.num_events + refused > config.max_events ? Verdict::kHalt : Verdict::kGoOn;
    case DivergencePolicy::kRollback:
      return progress.num_events + 1 > config.max_events ? Verdict::kHalt : Verdict::kRollback;
  }
  return Verdict::kHalt;
}

void update_means(Progress& progress, const DivergenceConfig& config) {
  if (const std::int64_t refused = num_refused(progress); refused > 0) {
    log::warn(
        cat("training: ", describe_divergence(progress, config), refused > 1 ? cat(", and ", refused - 1, " more") : "", "; left out"));
    progress.num_events += refused;
  }
  for (const StepValues& values : progress.unjudged) {
    if (!values.applied) continue;
    const auto n = static_cast<double>(std::min(++progress.num_means, kMeanSteps));
    progress.loss_mean += (values.loss - progress.loss_mean) / n;
    progress.norm_mean += (values.grad_norm - progress.norm_mean) / n;
  }
  progress.unjudged.clear();
}

std::string describe_divergence(const Progress& progress, const DivergenceConfig& config) {
  const auto found = std::find_if(progress.unjudged.begin(), progress.unjudged.end(), [](const StepValues& v) { return !v.applied; });
  const std::int64_t step = progress.step - (progress.unjudged.end() - found) + 1;
  std::string text = cat("step ", step, ": loss ", shortest(found->loss), ", gradient norm ", shortest(found->grad_norm));
  const Limits limits = limits_of(progress, config);
  if (std::isfinite(found->loss) && std::isfinite(found->grad_norm))
    text += cat(", above ", shortest(config.spike_factor), " times their running means (limits ", shortest(limits.loss), " and ",
                shortest(limits.norm), ")");
  return text;
}

Limits limits_of(const Progress& progress, const DivergenceConfig& config) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  if (config.spike_factor == 0 || progress.num_means < kMinMeanSteps) return {kNone, kNone};
  return {config.spike_factor * progress.loss_mean, config.spike_factor * progress.norm_mean};
}

}  // namespace sluice::train
