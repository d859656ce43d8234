#include "stats/sign_flip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace sluice::stats {
namespace {

constexpr double kNoRounding = 0;

// Fisher 1935, "The Design of Experiments", section 21: Darwin's maize, 15 pairs (eighths of an
// inch). He counts 863 of 32,768 flips with a sum of at least 314 on one side (those with a sum of
// exactly 314 included), hence p = 2 · 863 / 32,768 = 0.0527.
TEST(SignFlips, DarwinsMaize) {
  const std::vector<double> maize{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};
  const SignFlips flips(15, maize, kNoRounding, 0);
  EXPECT_NEAR(flips.adjusted_p()[0], 2.0 * 863 / 32'768, 1e-15);
}

// All differences of one sign: only the identity and its negation reach the observed value.
TEST(SignFlips, SmallestP) {
  for (std::size_t s = 2; s <= 12; ++s) {
    std::vector<double> differences;
    for (std::size_t j = 0; j < s; ++j) differences.push_back(1 + 0.1 * static_cast<double>(j * j));
    const double p = SignFlips(s, differences, kNoRounding, 0).adjusted_p()[0];
    EXPECT_EQ(p, 2 / std::pow(2.0, static_cast<double>(s)));
    EXPECT_EQ(p, smallest_p(s));
  }
  EXPECT_EQ(min_seeds(0.05), 6U);
  EXPECT_EQ(min_seeds(0.01), 8U);
}

// With one comparison, the 95 % interval consists of the θ that the test does not reject.
TEST(SignFlips, IntervalInvertsTheTest) {
  for (std::uint64_t key = 0; key < 20; ++key) {
    std::vector<double> differences;
    for (std::uint64_t j = 0; j < 9; ++j) differences.push_back(0.5 + random_normal(key, j));
    const Interval interval = *SignFlips(9, differences, kNoRounding, 0).intervals(0.05)[0];
    for (const double inside : {-1e-6, 1e-6}) {
      for (const bool is_low : {true, false}) {
        std::vector<double> shifted = differences;
        for (double& d : shifted) d -= is_low ? interval.low + inside : interval.high - inside;
        const double p = SignFlips(9, shifted, kNoRounding, 0).adjusted_p()[0];
        EXPECT_EQ(p > 0.05, inside > 0) << key;
      }
    }
  }
}

TEST(SignFlips, IntervalsAreUnboundedWithFiveSeeds) {
  const std::vector<double> five{1, 1.1, 0.9, 1.2, 0.8}, six{1, 1.1, 0.9, 1.2, 0.8, 1.05};
  const Interval unbounded = *SignFlips(5, five, kNoRounding, 0).intervals(0.05)[0],
                 bounded = *SignFlips(6, six, kNoRounding, 0).intervals(0.05)[0];
  EXPECT_TRUE(std::isinf(unbounded.low) && std::isinf(unbounded.high));
  EXPECT_TRUE(std::isfinite(bounded.low) && std::isfinite(bounded.high));
  EXPECT_GT(bounded.low, 0);
}

// Identical results; the same difference in every seed.
TEST(SignFlips, NoSpread) {
  std::vector<double> differences(24);
  std::fill_n(differences.begin() + 8, 8, 0.25);
  for (std::size_t j = 16; j < 24; ++j) differences[j] = 1 + 0.1 * static_cast<double>(j);
  const SignFlips flips(8, differences, 1e-13, 0);
  const std::vector<double> p = flips.adjusted_p();
  EXPECT_EQ(p[0], 1);
  EXPECT_EQ(p[1], 1);
  EXPECT_EQ(p[2], smallest_p(8));
  const auto intervals = flips.intervals(0.05);
  EXPECT_EQ(intervals[0]->low, 0);
  EXPECT_EQ(intervals[0]->high, 0);
  EXPECT_FALSE(intervals[1]);
  EXPECT_GT(intervals[2]->low, 0);
}

// A sample of the flips gives the exact p up to its error; the key selects the sample.
TEST(SignFlips, SampleAgreesWithTheNormalApproximation) {
  constexpr std::size_t kSeeds = 200;
  std::vector<double> differences;
  double sum = 0, squares = 0;
  for (std::uint64_t j = 0; j < kSeeds; ++j) {
    differences.push_back(0.12 + random_normal(3, j));
    sum += differences.back();
    squares += differences.back() * differences.back();
  }
  const double expected = std::erfc(std::abs(sum) / std::sqrt(2 * squares));
  const auto p_of = [&](std::uint64_t key) {
    return SignFlips(kSeeds, differences, kNoRounding, key).adjusted_p()[0];
  };
  ASSERT_GT(expected, 0.005);
  EXPECT_NEAR(p_of(1), expected, 4 * std::sqrt(expected / 32'768) + 0.002);
  EXPECT_EQ(p_of(1), p_of(1));
  EXPECT_NE(p_of(1), p_of(2));
}

TEST(SignFlips, SampledPIsNeverZero) {
  std::vector<double> differences;
  for (std::size_t j = 0; j < 20; ++j) differences.push_back(1 + 0.01 * static_cast<double>(j));
  EXPECT_EQ(SignFlips(20, differences, kNoRounding, 1).adjusted_p()[0], 1.0 / 32'768);
}

TEST(SignFlips, RejectsInvalidInput) {
  const std::vector<double> one{1}, three{1, 2, 3}, infinite{1, INFINITY};
  EXPECT_THROW(SignFlips(1, one, 0, 0), InvariantError);
  EXPECT_THROW(SignFlips(2, three, 0, 0), InvariantError);
  EXPECT_THROW(SignFlips(2, infinite, 0, 0), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
