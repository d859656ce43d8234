// Error rates and power of the tests on simulated comparisons. Seeded, so the measured figures are
// reproducible; docs/statistics.md lists them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>

#include "base/file.h"
#include "base/text_format.h"
#include "stats/power.h"
#include "stats/summary.h"
#include "tests/stats/random_table.h"

namespace sluice::stats {
namespace {

using testing::random_table;
using testing::Truth;

constexpr std::size_t kTables = 8'000;

// Three standard errors of a share measured on kTables.
double margin(double share) { return 3 * std::sqrt(share * (1 - share) / kTables); }

struct Shares {
  // tables with a false finding among the comparisons with the baseline, after Holm
  double block = 0, paired = 0;
  // tables with a false finding among all pairs: more than one letter
  double pairs = 0;
  double covered = 0;            // tables whose intervals all contain the true difference
  std::vector<double> p;         // of variant 1 against the baseline, one per table
  std::vector<double> rejected;  // by variant: share of tables with unadjusted p at most 5 %
};

// Simulates comparisons without any effect.
Shares simulate(const Truth& truth, std::string_view purpose) {
  Shares shares{.rejected = std::vector<double>(truth.effects.size())};
  constexpr double kOne = 1.0 / kTables;
  for (std::size_t n = 0; n < kTables; ++n) {
    const Summary summary = summarize(random_table(truth, random_key(n, purpose)), 0);
    bool block = false, paired = false, covered = true;
    for (std::size_t i = 1; i < summary.variants.size(); ++i) {
      const Difference& difference = *summary.variants[i].difference;
      block = block || *difference.p_holm <= 0.05;
      paired = paired || *difference.paired_p_holm <= 0.05;
      covered = covered && difference.interval->low <= 0 && difference.interval->high >= 0;
      if (*difference.p <= 0.05) shares.rejected[i] += kOne;
    }
    const bool pairs = std::any_of(summary.variants.begin(), summary.variants.end(),
                                   [](const auto& v) { return v.letters != "a"; });
    shares.p.push_back(*summary.variants[1].difference->p);
    if (block) shares.block += kOne;
    if (paired) shares.paired += kOne;
    if (pairs) shares.pairs += kOne;
    if (covered) shares.covered += kOne;
  }
  return shares;
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

// Checks the row "| name | block | paired | all pairs | intervals |" of docs/statistics.md, in
// percent with one decimal.
void expect_documented(const std::string& name, const Shares& shares) {
  const std::string page =
      read_file(std::filesystem::path(SLUICE_SOURCE_DIR) / "docs" / "statistics.md");
  const std::size_t row = page.find(cat("| ", name, " | "));
  ASSERT_NE(row, std::string::npos) << name;
  std::istringstream cells(page.substr(row + name.size() + 5, 60));
  for (const double share : {shares.block, shares.paired, shares.pairs, shares.covered}) {
    double percent = 0;
    std::string unit, bar;
    cells >> percent >> unit >> bar;
    EXPECT_NEAR(percent, 100 * share, 0.11) << name;
  }
}

void print(const std::string& name, const Shares& shares) {
  expect_documented(name, shares);
  std::cout << name << ": false finding, block " << shares.block << ", paired " << shares.paired
            << ", all pairs " << shares.pairs << "; intervals all cover " << shares.covered
            << "; Kolmogorov " << kolmogorov(shares.p) << "; p <= 0.05 by variant:";
  for (std::size_t i = 1; i < shares.rejected.size(); ++i) std::cout << " " << shares.rejected[i];
  std::cout << "\n";
}

// A single comparison is not conservative: exactly 5 %.
TEST(Simulation, OneComparisonErrsInFivePercent) {
  const Shares shares = simulate({.effects = {0, 0}, .stds = {0.005, 0.005}}, "two variants");
  print("2 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  EXPECT_NEAR(shares.block, 0.05, margin(0.05));
  EXPECT_NEAR(shares.paired, 0.05, margin(0.05));
  EXPECT_NEAR(shares.pairs, 0.05, margin(0.05));
  EXPECT_NEAR(shares.covered, 0.95, margin(0.05));
}

// Comparisons with a common baseline are correlated, so the family-wise error is slightly below 5
// %.
TEST(Simulation, EightVariantsErrInAtMostFivePercent) {
  const Shares shares = simulate(
      {.effects = std::vector<double>(8), .stds = std::vector<double>(8, 0.005)}, "eight variants");
  print("8 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  for (const double share : {shares.block, shares.paired, shares.pairs}) {
    EXPECT_LE(share, 0.05 + margin(0.05));
    EXPECT_GE(share, 0.025);
  }
  EXPECT_GE(shares.covered, 0.95 - margin(0.05));
  for (std::size_t i = 1; i < 8; ++i) EXPECT_NEAR(shares.rejected[i], 0.05, margin(0.05)) << i;
}

// The standard deviations of the paper's Table 1. The pooled residual is too small for swiglu and
// too large for swish and reglu.
TEST(Simulation, UnequalSpreadsOfThePaper) {
  const Shares shares = simulate({.effects = std::vector<double>(8),
                                  .stds = {0.005, 0.005, 0.003, 0.006, 0.005, 0.004, 0.010, 0.003}},
                                 "paper");
  print("8 variants, stds of the paper's Table 1", shares);
  EXPECT_LE(shares.block, 0.10);
  EXPECT_LE(shares.pairs, 0.12);
  EXPECT_LE(shares.paired, 0.05 + margin(0.05))
      << "the paired t-test does not assume equal variances";
  EXPECT_GT(shares.rejected[6], 0.05) << "swiglu";
  EXPECT_LT(shares.rejected[7], 0.05) << "reglu";
}

// The standard deviations of docs/results, relu first.
TEST(Simulation, UnequalSpreadsOfTheResults) {
  const auto of = [](std::vector<double> stds, std::string_view purpose) {
    return simulate({.effects = std::vector<double>(8), .stds = std::move(stds)}, purpose);
  };
  const Shares t5 = of({0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125}, "t5");
  print("8 variants, stds of docs/results/t5_prose", t5);
  const Shares decoder =
      of({0.0081, 0.0088, 0.0030, 0.0081, 0.0276, 0.0132, 0.0169, 0.0095}, "decoder");
  print("8 variants, stds of docs/results/decoder_prose", decoder);
  for (const Shares& shares : {t5, decoder}) EXPECT_LE(shares.paired, 0.05 + margin(0.05));
  EXPECT_GT(t5.block, 0.05 + margin(0.05)) << "the baseline has the largest spread";
  EXPECT_GT(decoder.pairs, 0.05 + margin(0.05)) << "bilinear has the largest spread";
}

// One variant differs by the detectable difference.
TEST(Simulation, TheStatedPowerIsReached) {
  for (const std::size_t num_seeds : {3UL, 5UL}) {
    const double std = 0.005;
    const Design design{
        .num_variants = 8, .num_seeds = static_cast<std::int64_t>(num_seeds), .std = std};
    Truth truth{.effects = std::vector<double>(8),
                .stds = std::vector<double>(8, std),
                .num_seeds = num_seeds};
    truth.effects[3] = -*detectable_difference(design);
    double bonferroni = 0, holm = 0;
    for (std::size_t n = 0; n < kTables; ++n) {
      const Summary summary =
          summarize(random_table(truth, random_key(n, "power", {num_seeds})), 0);
      const Difference& difference = *summary.variants[3].difference;
      if (difference.interval->high < 0 || difference.interval->low > 0)
        bonferroni += 1.0 / kTables;
      if (*difference.p_holm <= 0.05) holm += 1.0 / kTables;
    }
    std::cout << num_seeds << " seeds, true difference " << truth.effects[3]
              << ": found by the interval " << bonferroni << ", by Holm " << holm << "\n";
    EXPECT_NEAR(bonferroni, 0.8, margin(0.8));
    EXPECT_GE(holm, bonferroni);
  }
}

}  // namespace
}  // namespace sluice::stats
