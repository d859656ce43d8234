#include "stats/spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace sluice::stats {
namespace {

// Quantiles of the chi-squared distribution with 3 degrees of freedom from printed tables.
TEST(Spread, IntervalOfTheStandardDeviation) {
  const std::vector<double> values{1, 2, 4, 9};
  const Spread spread = spread_of(values);
  const double std = std::sqrt(38 / 3.0);
  EXPECT_DOUBLE_EQ(spread.std, std);
  EXPECT_NEAR(spread.interval.low, std * std::sqrt(3 / 9.348404), 1e-6);
  EXPECT_NEAR(spread.interval.high, std * std::sqrt(3 / 0.2157953), 1e-6);
}

TEST(Spread, OfEqualValuesIsZero) {
  const Spread spread = spread_of(std::vector<double>{2, 2, 2});
  EXPECT_EQ(spread.std, 0);
  EXPECT_EQ(spread.interval.high, 0);
}

TEST(Spread, NeedsTwoValues) { EXPECT_THROW(spread_of(std::vector<double>{1}), InvariantError); }

}  // namespace
}  // namespace sluice::stats
