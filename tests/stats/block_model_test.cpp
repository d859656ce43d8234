#include "stats/block_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "stats/paired_test.h"
#include "tests/stats/random_table.h"

namespace sluice::stats {
namespace {

using Numbers = std::vector<double>;

// Variants (0, 3), (1, 2), (5, 7): the seeds differ by 3, 1, 2, on average by 2. So
// Σ r² = Σ (difference − 2)² / 2 = 1, and df is 2.
TEST(BlockModel, MatchesAHandComputedExample) {
  const BlockModel model(3, 2, Numbers{0, 3, 1, 2, 5, 7});
  EXPECT_EQ(model.df(), 2);
  EXPECT_NEAR(model.residual_std(), std::sqrt(1.0 / 2), 1e-15);
  EXPECT_NEAR(model.std_error(), std::sqrt(1.0 / 2), 1e-15);
  EXPECT_DOUBLE_EQ(model.difference(2, 0), 4.5);
  EXPECT_DOUBLE_EQ(model.difference(0, 2), -4.5);
  const double t = 4.5 / std::sqrt(0.5);
  EXPECT_NEAR(model.p(2, 0), 1 - t / std::sqrt(2 + t * t), 1e-14);  // df 2
  const double u = 0.95, quantile = u * std::sqrt(2 / (1 - u * u));
  const Interval interval = *model.interval(2, 0, 0.05);
  EXPECT_NEAR(interval.low, 4.5 - quantile * std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(interval.high, 4.5 + quantile * std::sqrt(0.5), 1e-12);
}

// With two variants there is nothing to pool.
TEST(BlockModel, OfTwoVariantsEqualsThePairedTest) {
  for (std::uint64_t trial = 0; trial < 50; ++trial) {
    const testing::Truth truth{
        .effects = {0, 0.01}, .stds = {0.005, 0.02}, .num_seeds = 2 + trial % 6};
    const Numbers values = testing::random_values(truth, random_key(trial, "two"));
    const std::span<const double> x = std::span(values).first(truth.num_seeds),
                                  y = std::span(values).last(truth.num_seeds);
    const PairedTest paired = paired_t_test(x, y);
    const BlockModel model(2, truth.num_seeds, values);
    EXPECT_EQ(model.df(), paired.df);
    EXPECT_NEAR(model.difference(0, 1), paired.difference, 1e-14);
    EXPECT_NEAR(model.std_error(), paired.std_error, 1e-13);
    EXPECT_NEAR(model.p(0, 1), paired.p, 1e-9);
  }
}

// An effect that all variants share under a seed does not affect comparisons.
TEST(BlockModel, SeedEffectsCancel) {
  const testing::Truth quiet{
      .effects = {0, 0.01, 0.02}, .stds = {0.005, 0.005, 0.005}, .seed_std = 0};
  testing::Truth loud = quiet;
  loud.seed_std = 3;
  const std::uint64_t key = random_key(1, "seeds");
  const BlockModel a(3, 5, testing::random_values(quiet, key)),
      b(3, 5, testing::random_values(loud, key));
  EXPECT_NEAR(a.residual_std(), b.residual_std(), 1e-13);
  EXPECT_NEAR(a.p(0, 2), b.p(0, 2), 1e-10);
}

TEST(BlockModel, EqualRowsDifferByExactlyZero) {
  const BlockModel model(3, 3, Numbers{1.1, 1.3, 1.2, 1.1, 1.3, 1.2, 1.4, 1.2, 1.9});
  EXPECT_EQ(model.difference(0, 1), 0);
  EXPECT_EQ(model.p(0, 1), 1);
  EXPECT_LT(model.interval(0, 1, 0.05)->low, 0) << "the spread of the others counts";
}

TEST(BlockModel, NoSpreadGivesAPOfOne) {
  const BlockModel model(3, 3, Numbers{1.7, 1.9, 1.8, 1.8, 2.0, 1.9, 1.7, 1.9, 1.8});
  EXPECT_EQ(model.residual_std(), 0);
  EXPECT_EQ(model.std_error(), 0);
  EXPECT_EQ(model.p(0, 1), 1);
  EXPECT_EQ(model.p(0, 2), 1);
  EXPECT_EQ(model.interval(0, 1, 0.05), std::nullopt);
  ASSERT_TRUE(model.interval(0, 2, 0.05));
  EXPECT_EQ(model.interval(0, 2, 0.05)->low, 0);
  EXPECT_EQ(model.interval(0, 2, 0.05)->high, 0);
}

TEST(BlockModel, RejectsInvalidArguments) {
  EXPECT_THROW(BlockModel(1, 3, Numbers{1, 2, 3}), InvariantError);
  EXPECT_THROW(BlockModel(3, 1, Numbers{1, 2, 3}), InvariantError);
  EXPECT_THROW(BlockModel(2, 2, Numbers{1, 2, 3}), InvariantError);
  EXPECT_THROW(BlockModel(2, 2, Numbers{1, 2, 3, std::nan("")}), InvariantError);
  const BlockModel model(2, 2, Numbers{1, 2, 3, 5});
  EXPECT_THROW(model.difference(0, 2), InvariantError);
  EXPECT_THROW(model.p(2, 0), InvariantError);
  EXPECT_THROW(model.interval(0, 1, 0), InvariantError);
  EXPECT_THROW(model.interval(0, 1, 1), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
