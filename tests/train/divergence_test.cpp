#include "train/divergence.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sluice::train {
namespace {

StepStats stats(double loss, double norm, bool applied) {
  return {.loss = at::full({}, loss, at::kDouble),
          .log_perplexity = at::full({}, loss, at::kDouble),
          .grad_norm = at::full({}, norm, at::kDouble),
          .applied = at::full({}, applied, at::kBool),
          .num_targets = 1};
}

TEST(Divergence, ReadsDeviceValues) {
  const StepStats step = stats(2.5, 0.5, false);
  const StepValues values = read_values({&step, 1}).front();
  EXPECT_EQ(values.loss, 2.5);
  EXPECT_EQ(values.grad_norm, 0.5);
  EXPECT_FALSE(values.applied);
}

TEST(Divergence, TheActionFollowsThePolicy) {
  const auto action = [](DivergencePolicy policy, std::int64_t num_events, bool applied) {
    Progress progress{.step = 1, .num_events = num_events};
    std::vector<StepStats> recent{stats(1, 1, applied)};
    const DivergenceAction found =
        check_divergence(progress, recent, {.policy = policy, .max_events = 3});
    EXPECT_TRUE(recent.empty());
    EXPECT_EQ(progress.pending.size(), 1u);
    return found;
  };
  for (const auto policy :
       {DivergencePolicy::kHalt, DivergencePolicy::kSkip, DivergencePolicy::kRollback})
    EXPECT_EQ(action(policy, 3, true), DivergenceAction::kContinue);
  EXPECT_EQ(action(DivergencePolicy::kHalt, 0, false), DivergenceAction::kHalt);
  EXPECT_EQ(action(DivergencePolicy::kSkip, 2, false), DivergenceAction::kContinue);
  EXPECT_EQ(action(DivergencePolicy::kSkip, 3, false), DivergenceAction::kHalt);
  EXPECT_EQ(action(DivergencePolicy::kRollback, 2, false), DivergenceAction::kRollback);
  EXPECT_EQ(action(DivergencePolicy::kRollback, 3, false), DivergenceAction::kHalt);
}

// The mean of the first kMeanSteps values, then an exponential average; ignores rejected steps.
TEST(Divergence, RunningMeans) {
  Progress progress;
  double sum = 0;
  for (std::int64_t n = 1; n <= kMeanSteps; ++n) {
    sum += static_cast<double>(n);
    progress.pending = {{static_cast<double>(n), 2.0, true}, {std::nan(""), 1e9, false}};
    update_means(progress, {.policy = DivergencePolicy::kSkip});
    EXPECT_NEAR(progress.loss_mean, sum / static_cast<double>(n), 1e-9);
    EXPECT_EQ(progress.norm_mean, 2.0);
    EXPECT_EQ(progress.num_events, n);
  }
  const double before = progress.loss_mean;
  progress.pending = {{before + kMeanSteps, 2.0, true}};
  update_means(progress, {});
  EXPECT_NEAR(progress.loss_mean, before + 1, 1e-9);
  EXPECT_TRUE(progress.pending.empty());
}

TEST(Divergence, LimitsAreMultiplesOfTheMeansAfterEnoughSteps) {
  Progress progress{.loss_mean = 3, .norm_mean = 0.5, .num_means = kMinMeanSteps};
  const Limits limits = limits_of(progress, {.spike_factor = 10});
  EXPECT_EQ(limits.loss, 30);
  EXPECT_EQ(limits.norm, 5);
  EXPECT_TRUE(std::isinf(limits_of(progress, {.spike_factor = 0}).loss));
  progress.num_means = kMinMeanSteps - 1;
  EXPECT_TRUE(std::isinf(limits_of(progress, {.spike_factor = 10}).norm));
}

TEST(Divergence, TheMessageNamesTheFirstRejectedStep) {
  const Progress progress{
      .step = 24,
      .pending = {{1, 1, true}, {std::nan(""), 1, false}, {1, 1, true}, {HUGE_VAL, 1, false}}};
  EXPECT_NE(describe_divergence(progress, {}).find("step 22: loss nan"), std::string::npos)
      << describe_divergence(progress, {});
  const Progress spike{
      .step = 24, .loss_mean = 3, .norm_mean = 1, .num_means = 20, .pending = {{100, 1, false}}};
  const std::string text = describe_divergence(spike, {.spike_factor = 10});
  EXPECT_NE(text.find("step 24: loss 100"), std::string::npos) << text;
  EXPECT_NE(text.find("limits 30 and 10"), std::string::npos) << text;
}

}  // namespace
}  // namespace sluice::train
