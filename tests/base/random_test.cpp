#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "base/error.h"

namespace sluice {
namespace {

// Known answers of philox4x32-10 from Random123's tests/kat_vectors.
TEST(Philox, MatchesRandom123KnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0), (Block128{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint64_t kOnes = ~std::uint64_t{0};
  EXPECT_EQ(philox(kOnes, kOnes, kOnes),
            (Block128{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (Block128{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomKey, DependsOnAllArguments) {
  const std::vector<std::uint64_t> keys = {
      random_key(1, "init"),
      random_key(2, "init"),
      random_key(1, "order"),
      random_key(1, ""),
      random_key(1, "init", {0}),
      random_key(1, "init", {1}),
      random_key(1, "init", {0, 0}),
      random_key(1, "init", {0, 1}),
      random_key(1, "init", {1, 0}),
      random_key(1, "initiation"),
      random_key(1, "initiation", {0}),
      random_key(0, ""),
      random_key(1, "t", {'i'}),
      random_key(1, "it"),
      random_key(1, std::string_view("init\0", 5)),
  };
  EXPECT_EQ(std::set(keys.begin(), keys.end()).size(), keys.size());
}

// Computed by an independent Python implementation. A change would silently alter every run.
TEST(RandomKey, IsStable) {
  EXPECT_EQ(random_key(0, ""), 0x115896b8f0a90abcU);
  EXPECT_EQ(random_key(1, "init", {3}), 0xbed6da0b80c11561U);
  EXPECT_EQ(random_key(42, "a long purpose", {1, 2, 3}), 0x717a99f57326eb92U);
}

TEST(RandomBits, AreTheFirstHalfOfTheNthBlock) {
  const Block128 block = philox(7, 12);
  EXPECT_EQ(random_bits(7, 12), std::uint64_t{block[1]} << 32 | block[0]);
}

// Mean and variance within 5 standard errors; the seeds are fixed, so the test is deterministic.
TEST(RandomUniform, HasTheMomentsOfTheUniformDistribution) {
  constexpr int kCount = 200'000;
  double sum = 0, sum_squares = 0;
  for (int n = 0; n < kCount; ++n) {
    const double x = random_uniform(random_key(1, "uniform"), static_cast<std::uint64_t>(n));
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    sum_squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(sum_squares / kCount, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST(RandomNormal, HasTheMomentsOfTheNormalDistribution) {
  constexpr int kCount = 200'000;
  double sum = 0, square = 0, cube = 0, fourth = 0;
  for (int n = 0; n < kCount; ++n) {
    const double x = random_normal(random_key(1, "normal"), static_cast<std::uint64_t>(n));
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    square += x * x;
    cube += x * x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 5 * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(square / kCount, 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(cube / kCount, 0, 5 * std::sqrt(15.0 / kCount));
  EXPECT_NEAR(fourth / kCount, 3, 5 * std::sqrt(96.0 / kCount));
}

// Chi-square with 9 degrees of freedom: 33.7 is the 0.9999 quantile.
TEST(RandomBelow, IsUniformAndBelowTheBound) {
  constexpr std::uint64_t kBound = 10, kCount = 100'000;
  std::vector<double> counts(kBound);
  for (std::uint64_t n = 0; n < kCount; ++n)
    counts.at(random_below(random_key(3, "below"), n, kBound)) += 1;
  double chi_square = 0;
  for (const double count : counts)
    chi_square += (count - kCount / kBound) * (count - kCount / kBound) / (kCount / kBound);
  EXPECT_LT(chi_square, 33.7);
}

TEST(RandomBelow, ExtremeBounds) {
  for (std::uint64_t n = 0; n < 100; ++n) EXPECT_EQ(random_below(5, n, 1), 0U);
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 63;
  for (std::uint64_t n = 0; n < 100; ++n) EXPECT_LT(random_below(5, n, kHuge), kHuge);
  EXPECT_THROW(random_below(5, 0, 0), InvariantError);
}

}  // namespace
}  // namespace sluice
