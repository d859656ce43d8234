#include "stats/paired_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace sluice::stats {
namespace {

using Numbers = std::vector<double>;

// Differences 1, 2, 3: mean 2, std 1, t = 2√3 with two degrees of freedom, for which the
// distribution function is algebraic.
TEST(PairedTest, MatchesAHandComputedExample) {
  const PairedTest test = paired_t_test(Numbers{11, 22, 33}, Numbers{10, 20, 30});
  EXPECT_DOUBLE_EQ(test.difference, 2);
  EXPECT_DOUBLE_EQ(test.std_error, 1 / std::sqrt(3.0));
  EXPECT_EQ(test.df, 2);
  const double t = 2 * std::sqrt(3.0);
  EXPECT_NEAR(test.p, 1 - t / std::sqrt(2 + t * t), 1e-15);
}

TEST(PairedTest, NoSpreadGivesAPOfOne) {
  const PairedTest same = paired_t_test(Numbers{1.7, 1.9, 1.8}, Numbers{1.7, 1.9, 1.8});
  EXPECT_EQ(same.difference, 0);
  EXPECT_EQ(same.std_error, 0);
  EXPECT_EQ(same.p, 1);
  // 1.8 − 1.7 and 2.0 − 1.9 differ in the last place: rounding, not spread.
  const PairedTest shifted = paired_t_test(Numbers{1.8, 2.0, 1.9}, Numbers{1.7, 1.9, 1.8});
  EXPECT_NEAR(shifted.difference, 0.1, 1e-15);
  EXPECT_EQ(shifted.std_error, 0);
  EXPECT_EQ(shifted.p, 1);
}

TEST(PairedTest, DetectsASmallSpread) {
  const PairedTest test =
      paired_t_test(Numbers{2 + 1e-9, 2 + 2e-9, 2 + 1e-9, 2 + 2e-9}, Numbers{2, 2, 2, 2});
  EXPECT_GT(test.std_error, 0);
  EXPECT_LT(test.p, 0.05);
}

TEST(PairedTest, RejectsInvalidArguments) {
  EXPECT_THROW(paired_t_test(Numbers{1}, Numbers{2}), InvariantError);
  EXPECT_THROW(paired_t_test(Numbers{1, 2}, Numbers{2, 3, 4}), InvariantError);
  EXPECT_THROW(paired_t_test({}, {}), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
