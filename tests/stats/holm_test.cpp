#include "stats/holm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace sluice::stats {
namespace {

using Numbers = std::vector<double>;

void expect_near(const Numbers& ours, const Numbers& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], expected[i], 1e-15) << i;
}

TEST(Holm, MatchesHandComputedExamples) {
  expect_near(holm_adjusted(Numbers{0.01, 0.04, 0.03, 0.005}), {0.03, 0.06, 0.06, 0.02});
  // monotone: the second alone would be 0.02
  expect_near(holm_adjusted(Numbers{0.02, 0.02}), {0.04, 0.04});
  expect_near(holm_adjusted(Numbers{0.9, 0.4, 0.8}), {1, 1, 1});  // never above 1
  expect_near(holm_adjusted(Numbers{0, 1}), {0, 1});
  expect_near(holm_adjusted(Numbers{0.3}), {0.3});
  EXPECT_TRUE(holm_adjusted({}).empty());
}

// The procedure of Holm's paper: go up from the smallest p, stop at the first p_(k) above
// level/(m − k + 1), and reject all before it.
TEST(Holm, RejectsWhatTheStepDownProcedureRejects) {
  for (std::uint64_t trial = 0; trial < 500; ++trial) {
    const std::uint64_t key = random_key(trial, "holm");
    const std::size_t m = 1 + random_below(key, 0, 12);
    Numbers p;
    for (std::size_t i = 0; i < m; ++i) p.push_back(std::pow(random_uniform(key, i + 1), 4));
    const Numbers adjusted = holm_adjusted(p);
    Numbers sorted = p;
    std::sort(sorted.begin(), sorted.end());
    std::size_t rejected = 0;
    while (rejected < m && sorted[rejected] * static_cast<double>(m - rejected) <= 0.05) ++rejected;
    for (std::size_t i = 0; i < m; ++i) {
      EXPECT_EQ(adjusted[i] <= 0.05, rejected > 0 && p[i] <= sorted[rejected - 1]);
      EXPECT_GE(adjusted[i], p[i]);
      EXPECT_LE(adjusted[i], std::min(1.0, p[i] * static_cast<double>(m)))
          << "Bonferroni is never smaller";
    }
  }
}

TEST(Holm, RejectsInvalidArguments) {
  EXPECT_THROW(holm_adjusted(Numbers{0.5, 1.1}), InvariantError);
  EXPECT_THROW(holm_adjusted(Numbers{-0.1}), InvariantError);
  EXPECT_THROW(holm_adjusted(Numbers{std::nan("")}), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
