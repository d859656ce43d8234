// Error rates and power of the tests on simulated comparisons. Seeded, so the measured figures are
// reproducible; docs/statistics.md lists them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stats/power.h"
#include "stats/summary.h"
#include "tests/stats/random_table.h"
#include "tests/stats/simulation.h"

namespace sluice::stats {
namespace {

using testing::ErrorShares;
using testing::expect_documented;
using testing::kTables;
using testing::measure_errors;
using testing::random_table;
using testing::three_errors;
using testing::Truth;

constexpr std::size_t kSeeds = 8;

// Simulates comparisons without any effect.
ErrorShares simulate(Truth truth, std::string_view purpose) {
  truth.num_seeds = kSeeds;
  return measure_errors([&](std::size_t n) { return random_table(truth, random_key(n, purpose)); });
}

// Kolmogorov's statistic √n · sup |F_n(p) − p|. For a uniform p it exceeds 1.95 with probability
// 0.001.
double kolmogorov(std::vector<double> p) {
  std::sort(p.begin(), p.end());
  const double n = static_cast<double>(p.size());
  double largest = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double below = static_cast<double>(i) / n;
    largest = std::max({largest, p[i] - below, below + 1 / n - p[i]});
  }
  return std::sqrt(n) * largest;
}

void print(const std::string& name, const ErrorShares& shares) {
  testing::expect_documented_errors(name, shares);
  std::cout << "Kolmogorov " << kolmogorov(shares.p) << "; p <= 0.05 by variant:";
  for (std::size_t i = 1; i < shares.rejected.size(); ++i) std::cout << " " << shares.rejected[i];
  std::cout << "\n";
}

// A single comparison is not conservative: exactly 5 %. The sign-flip test has p in steps of 2/256,
// so its level is 12/256 = 4.7 %.
TEST(Simulation, OneComparisonErrsInFivePercent) {
  const ErrorShares shares = simulate({.effects = {0, 0}, .stds = {0.005, 0.005}}, "two variants");
  print("2 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  EXPECT_NEAR(shares.block, 0.05, three_errors(0.05));
  EXPECT_NEAR(shares.paired, 0.05, three_errors(0.05));
  EXPECT_NEAR(shares.flip, 12.0 / 256, three_errors(0.05));
  EXPECT_NEAR(shares.pairs, 12.0 / 256, three_errors(0.05));
  EXPECT_NEAR(shares.covered, 1 - 12.0 / 256, three_errors(0.05));
}

// Comparisons with a common baseline are correlated, so the family-wise error is slightly below 5
// %.
TEST(Simulation, EightVariantsErrInAtMostFivePercent) {
  const ErrorShares shares = simulate(
      {.effects = std::vector<double>(8), .stds = std::vector<double>(8, 0.005)}, "eight variants");
  print("8 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  for (const double share : {shares.flip, shares.block, shares.paired, shares.pairs}) {
    EXPECT_LE(share, 0.05 + three_errors(0.05));
    EXPECT_GE(share, 0.025);
  }
  EXPECT_GE(shares.covered, 0.95 - three_errors(0.05));
  for (std::size_t i = 1; i < 8; ++i)
    EXPECT_NEAR(shares.rejected[i], 0.05, three_errors(0.05)) << i;
}

// The standard deviations of the paper's Table 1. The pooled residual is too small for swiglu and
// too large for swish and reglu.
TEST(Simulation, UnequalSpreadsOfThePaper) {
  const ErrorShares shares =
      simulate({.effects = std::vector<double>(8),
                .stds = {0.005, 0.005, 0.003, 0.006, 0.005, 0.004, 0.010, 0.003}},
               "paper");
  print("8 variants, stds of the paper's Table 1", shares);
  EXPECT_LE(shares.block, 0.10);
  for (const double share : {shares.flip, shares.pairs})
    EXPECT_LE(share, 0.05 + three_errors(0.05));
  EXPECT_GE(shares.covered, 0.95 - three_errors(0.05));
  EXPECT_LE(shares.paired, 0.05 + three_errors(0.05))
      << "the paired t-test does not assume equal variances";
  EXPECT_GT(shares.rejected[6], 0.05) << "swiglu";
  EXPECT_LT(shares.rejected[7], 0.05) << "reglu";
}

// Standard deviations of the first comparisons on prose, with five seeds; relu first.
TEST(Simulation, UnequalSpreadsOfTheResults) {
  const auto of = [](std::vector<double> stds, std::string_view purpose) {
    return simulate({.effects = std::vector<double>(8), .stds = std::move(stds)}, purpose);
  };
  const ErrorShares t5 = of({0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125}, "t5");
  print("8 variants, stds of t5_prose, five seeds", t5);
  const ErrorShares decoder =
      of({0.0081, 0.0088, 0.0030, 0.0081, 0.0276, 0.0132, 0.0169, 0.0095}, "decoder");
  print("8 variants, stds of decoder_prose, five seeds", decoder);
  for (const ErrorShares& shares : {t5, decoder}) {
    for (const double share : {shares.flip, shares.paired, shares.pairs})
      EXPECT_LE(share, 0.05 + three_errors(0.05));
    EXPECT_GE(shares.covered, 0.95 - three_errors(0.05));
  }
  EXPECT_GT(t5.block, 0.05 + three_errors(0.05)) << "the baseline has the largest spread";
}

// One variant differs by three mean standard deviations, with each variant in turn.
TEST(Simulation, PowerAndErrorOfTheRules) {
  const std::vector<double> t5{0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125};
  double mean = 0;
  for (const double std : t5) mean += std / 8;
  for (const auto& [name, stds] :
       {std::pair("difference 3 mean σ, stds of t5_prose, five seeds", t5),
        {"difference 3 σ, equal stds", std::vector<double>(8, mean)}}) {
    double flip = 0, block = 0, paired = 0, false_flip = 0;
    for (std::size_t n = 0; n < kTables; ++n) {
      Truth truth{.effects = std::vector<double>(8), .stds = stds, .num_seeds = kSeeds};
      const std::size_t differing = 1 + n % 7;
      truth.effects[differing] = -3 * mean;
      const Summary summary = summarize(random_table(truth, random_key(n, "rules")), 0);
      const Difference& difference = *summary.variants[differing].difference;
      flip += *difference.flip_p <= 0.05 ? 1.0 / kTables : 0;
      block += *difference.p_holm <= 0.05 ? 1.0 / kTables : 0;
      paired += *difference.paired_p_holm <= 0.05 ? 1.0 / kTables : 0;
      bool is_false = false;
      for (std::size_t i = 1; i < 8; ++i)
        is_false = is_false || (i != differing && *summary.variants[i].difference->flip_p <= 0.05);
      false_flip += is_false ? 1.0 / kTables : 0;
    }
    expect_documented(name, {flip, block, paired, false_flip});
    EXPECT_LE(false_flip, 0.05 + three_errors(0.05));
  }
}

// One variant differs by the detectable difference, which is computed for the paired t-test.
TEST(Simulation, TheStatedPowerIsReached) {
  for (const std::size_t num_seeds : {6UL, 8UL, 10UL}) {
    const double std = 0.005;
    const Design design{
        .num_variants = 8, .num_seeds = static_cast<std::int64_t>(num_seeds), .std = std};
    Truth truth{.effects = std::vector<double>(8),
                .stds = std::vector<double>(8, std),
                .num_seeds = num_seeds};
    truth.effects[3] = -*detectable_difference(design);
    constexpr std::size_t kTrials = 4'000;
    double found = 0;
    for (std::size_t n = 0; n < kTrials; ++n) {
      const Summary summary =
          summarize(random_table(truth, random_key(n, "power", {num_seeds})), 0);
      if (*summary.variants[3].difference->flip_p <= 0.05) found += 1.0 / kTrials;
    }
    EXPECT_NEAR(found, num_seeds == 6 ? 0.6 : 0.8, 0.03);
    expect_documented(cat("power at the detectable difference, ", num_seeds, " seeds"), {found});
  }
}

// The share of tables with this verdict on variant 1.
double share_of(Conclusion conclusion, const Truth& truth, const Plan& plan) {
  constexpr std::size_t kTrials = 2'000;
  double decided = 0;
  for (std::size_t n = 0; n < kTrials; ++n) {
    const std::uint64_t key = random_key(n, "decide", {truth.effects.size()});
    const Summary summary = summarize(random_table(truth, key), 0, plan);
    if (summary.variants[1].difference->conclusion == conclusion) decided += 1.0 / kTrials;
  }
  return decided;
}

// The seeds that would decide are those for 80 %, by t approximations.
TEST(Simulation, SeedsToDecideGiveAVerdictInFourOfFive) {
  struct Case {
    const char* name;
    std::size_t num_variants;
    double effect;
    std::optional<double> margin;
  };
  for (const Case& c : {Case{"a difference, 2 variants, 12 seeds", 2, -0.00629, {}},
                        {"a difference, 8 variants, 12 seeds", 8, -0.00867, {}},
                        {"equivalence, 2 variants, 12 seeds", 2, 0.001, 0.00757},
                        {"equivalence, 8 variants, 12 seeds", 8, 0.001, 0.01003}}) {
    const double std = 0.005;
    const Design design{.num_variants = static_cast<std::int64_t>(c.num_variants), .std = std};
    ASSERT_EQ(seeds_to_decide(design, c.effect, c.margin), 12) << c.name;
    Truth truth{.effects = std::vector<double>(c.num_variants),
                .stds = std::vector<double>(c.num_variants, std),
                .num_seeds = 12};
    truth.effects[1] = c.effect;
    const double decided = share_of(c.margin ? Conclusion::kEquivalent : Conclusion::kBetter, truth,
                                    {.margin = c.margin});
    expect_documented(cat("seeds that would decide, ", c.name), {decided});
    EXPECT_NEAR(decided, 0.8, 0.04) << c.name;
  }
}

// The true difference is exactly the margin, where equivalence is hardest to refute, or 0.
TEST(Simulation, EquivalenceErrsInAtMostFivePercent) {
  const Plan plan{.margin = 0.01};
  double wrong = 0, found = 0;
  for (std::size_t n = 0; n < kTables; ++n) {
    Truth truth{.effects = std::vector<double>(8, 0.01),
                .stds = std::vector<double>(8, 0.003),
                .num_seeds = kSeeds};
    truth.effects[0] = 0;
    const auto is_equivalent = [](const VariantSummary& v) {
      return v.difference && v.difference->conclusion == Conclusion::kEquivalent;
    };
    const std::uint64_t key = random_key(n, "equivalence");
    const Summary at_margin = summarize(random_table(truth, key), 0, plan);
    wrong += std::any_of(at_margin.variants.begin(), at_margin.variants.end(), is_equivalent)
                 ? 1.0 / kTables
                 : 0;
    truth.effects.assign(8, 0);
    found +=
        is_equivalent(summarize(random_table(truth, key), 0, plan).variants[1]) ? 1.0 / kTables : 0;
  }
  expect_documented("equivalence, margin 0.01, std 0.003", {wrong, found});
  EXPECT_LE(wrong, 0.05 + three_errors(0.05));
  EXPECT_GE(found, 0.8);
}

}  // namespace
}  // namespace sluice::stats
