#include "stats/moments.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace sluice::stats {
namespace {

TEST(Moments, OfSmallSamples) {
  const std::vector<double> values{1, 2, 4, 9};
  EXPECT_DOUBLE_EQ(mean_of(values), 4);
  EXPECT_DOUBLE_EQ(*sample_std(values), std::sqrt((9 + 4 + 0 + 25) / 3.0));
  EXPECT_DOUBLE_EQ(rounding_of(std::vector<double>{1, -20, 3}), 2e-12);
  EXPECT_EQ(rounding_of({}), 0);
}

TEST(Moments, EqualNumbersHaveNoSpread) {
  for (const double value : {0.1, 1.7, -3.3, 1e300, 0.0}) {
    const std::vector<double> values(7, value);
    EXPECT_EQ(mean_of(values), value);
    EXPECT_EQ(sample_std(values), 0.0);
  }
}

TEST(Moments, OneValueHasNoStandardDeviation) {
  EXPECT_EQ(sample_std(std::vector<double>{3}), std::nullopt);
  EXPECT_EQ(sample_std({}), std::nullopt);
}

TEST(Moments, TheMeanRequiresValues) { EXPECT_THROW(mean_of({}), InvariantError); }

}  // namespace
}  // namespace sluice::stats
