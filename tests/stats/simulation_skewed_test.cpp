// Error rates with skewed results, e.g. when some seeds end much worse than the others.
// docs/statistics.md lists them.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>

#include "tests/stats/random_table.h"
#include "tests/stats/simulation.h"

namespace sluice::stats {
namespace {

using testing::ErrorShares;
using testing::expect_documented_errors;
using testing::measure_errors;
using testing::three_errors;

// Normal noise, and a spike of `size` standard deviations in the share `rate` of the runs.
struct Spikes {
  double rate = 0, size = 0;
};

double spiked_noise(const Spikes& spikes, std::uint64_t key, std::uint64_t index) {
  const double spike = random_uniform(key, 500'000 + index) < spikes.rate ? spikes.size : 0;
  return random_normal(key, index) + spike - spikes.rate * spikes.size;
}

// [variants, seeds] with the mean 2 everywhere; `noise_of` (variant, key, index).
template <class Noise>
Table skewed_table(std::size_t num_variants, std::size_t num_seeds, std::uint64_t key,
                   Noise noise_of) {
  constexpr double kStd = 0.005, kSeedStd = 0.01;
  Table table(num_variants, num_seeds);
  for (std::size_t i = 0; i < num_variants; ++i)
    for (std::size_t j = 0; j < num_seeds; ++j)
      table.set(
          i, j,
          2 + kSeedStd * random_normal(key, j) + kStd * noise_of(i, key, 1000 + i * num_seeds + j));
  return table;
}

// Compares the shares with a row of docs/statistics.md.
template <class Noise>
ErrorShares measure_skewed(const std::string& name, std::size_t num_variants, std::size_t num_seeds,
                           Noise noise_of) {
  const ErrorShares shares = measure_errors(
      [&](std::size_t n) {
        return skewed_table(num_variants, num_seeds, random_key(n, "skewed", {num_seeds}),
                            noise_of);
      },
      num_seeds == 8 ? 8'000 : 4'000);  // twelve seeds have 16 times as many flips
  expect_documented_errors(name, shares);
  return shares;
}

// All variants have the same distribution. That is not enough for an exact test of several
// comparisons, but the error stays near 5 %.
void expect_about_five_percent(const ErrorShares& shares) {
  EXPECT_LE(shares.flip, 0.055 + three_errors(0.055, 4'000));
  EXPECT_GE(shares.flip, 0.025);
  EXPECT_LE(shares.pairs, 0.055 + three_errors(0.055, 4'000));
  EXPECT_GE(shares.covered, 0.945 - three_errors(0.055, 4'000));
}

double spike_in_a_quarter(std::size_t, std::uint64_t key, std::uint64_t index) {
  return spiked_noise({.rate = 0.25, .size = 8}, key, index);
}

TEST(SkewedSimulation, TheSameSpikesEightSeeds) {
  expect_about_five_percent(measure_skewed("8 variants, spikes of 8 σ in 1 of 4 runs, 8 seeds", 8,
                                           8, spike_in_a_quarter));
}

TEST(SkewedSimulation, TheSameSpikesTwelveSeeds) {
  expect_about_five_percent(measure_skewed("8 variants, spikes of 8 σ in 1 of 4 runs, 12 seeds", 8,
                                           12, spike_in_a_quarter));
}

double exponential(std::size_t, std::uint64_t key, std::uint64_t index) {
  return -std::log1p(-random_uniform(key, index)) - 1;
}

TEST(SkewedSimulation, ExponentialEightSeeds) {
  expect_about_five_percent(measure_skewed("8 variants, exponential, 8 seeds", 8, 8, exponential));
}

TEST(SkewedSimulation, ExponentialTwelveSeeds) {
  expect_about_five_percent(
      measure_skewed("8 variants, exponential, 12 seeds", 8, 12, exponential));
}

// Only the baseline has spikes, so differences without effect are not symmetric.
ErrorShares measure_spiked_baseline(std::size_t num_variants, std::size_t num_seeds, double size) {
  return measure_skewed(
      cat(num_variants, " variants, baseline with spikes of ", size, " σ in 1 of 8 runs, ",
          num_seeds, " seeds"),
      num_variants, num_seeds, [size](std::size_t variant, std::uint64_t key, std::uint64_t index) {
        return spiked_noise({.rate = 0.125, .size = variant == 0 ? size : 0}, key, index);
      });
}

TEST(SkewedSimulation, ABaselineWithRareSpikes) {
  for (const std::size_t num_variants : {2UL, 8UL}) {
    const ErrorShares shares = measure_spiked_baseline(num_variants, 8, 8);
    EXPECT_GE(shares.flip, 0.10);
    EXPECT_LE(shares.flip, 0.20);
    EXPECT_LE(shares.covered, 0.90);
  }
}

// In (7/8)^8 = 34 % of the tables none of the eight runs of the baseline has a spike, and all
// variants are worse than it.
TEST(SkewedSimulation, ABaselineWithRareLargeSpikes) {
  const double without_spike = std::pow(7.0 / 8, 8);
  EXPECT_NEAR(measure_spiked_baseline(8, 8, 30).flip, without_spike, three_errors(without_spike));
}

// With twelve seeds that happens less often.
TEST(SkewedSimulation, ABaselineWithRareLargeSpikesTwelveSeeds) {
  const double without_spike = std::pow(7.0 / 8, 12);
  EXPECT_NEAR(measure_spiked_baseline(8, 12, 30).flip, without_spike,
              three_errors(without_spike, 4'000));
}

}  // namespace
}  // namespace sluice::stats
