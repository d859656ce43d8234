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

constexpr std::size_t kSeeds = 8;

struct Shares {
  // tables with a false finding among the comparisons with the baseline: sign-flip test with max-T,
  // block model and paired t-test with Holm
  double flip = 0, block = 0, paired = 0;
  // tables with a false finding among all pairs (sign-flip test): more than one letter
  double pairs = 0;
  double covered = 0;            // tables whose intervals all contain the true difference
  std::vector<double> p;         // block model, of variant 1 against the baseline, one per table
  std::vector<double> rejected;  // by variant: share of tables with unadjusted block p at most 5 %
};

// Simulates comparisons without any effect.
Shares simulate(Truth truth, std::string_view purpose) {
  truth.num_seeds = kSeeds;
  Shares shares{.rejected = std::vector<double>(truth.effects.size())};
  constexpr double kOne = 1.0 / kTables;
  for (std::size_t n = 0; n < kTables; ++n) {
    const Summary summary = summarize(random_table(truth, random_key(n, purpose)), 0);
    bool flip = false, block = false, paired = false, covered = true;
    for (std::size_t i = 1; i < summary.variants.size(); ++i) {
      const Difference& difference = *summary.variants[i].difference;
      flip = flip || *difference.flip_p <= 0.05;
      block = block || *difference.p_holm <= 0.05;
      paired = paired || *difference.paired_p_holm <= 0.05;
      covered = covered && difference.interval->low <= 0 && difference.interval->high >= 0;
      if (*difference.p <= 0.05) shares.rejected[i] += kOne;
    }
    const bool pairs = std::any_of(summary.variants.begin(), summary.variants.end(),
                                   [](const auto& v) { return v.letters != "a"; });
    shares.p.push_back(*summary.variants[1].difference->p);
    if (flip) shares.flip += kOne;
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

// Checks the row "| name | share | share | ..." of docs/statistics.md, in percent with one decimal.
void expect_documented(const std::string& name, const std::vector<double>& shares) {
  const std::string page =
      read_file(std::filesystem::path(SLUICE_SOURCE_DIR) / "docs" / "statistics.md");
  const std::size_t row = page.find(cat("| ", name, " | "));
  ASSERT_NE(row, std::string::npos) << name;
  std::istringstream cells(page.substr(row + name.size() + 5, 80));
  for (const double share : shares) {
    double percent = 0;
    std::string unit, bar;
    cells >> percent >> unit >> bar;
    EXPECT_NEAR(percent, 100 * share, 0.11) << name;
  }
}

void print(const std::string& name, const Shares& shares) {
  expect_documented(name, {shares.flip, shares.block, shares.paired, shares.pairs, shares.covered});
  std::cout << name << ": false finding, sign-flip " << shares.flip << ", block " << shares.block
            << ", paired " << shares.paired << ", all pairs " << shares.pairs
            << "; intervals all cover " << shares.covered << "; Kolmogorov " << kolmogorov(shares.p)
            << "; p <= 0.05 by variant:";
  for (std::size_t i = 1; i < shares.rejected.size(); ++i) std::cout << " " << shares.rejected[i];
  std::cout << "\n";
}

// A single comparison is not conservative: exactly 5 %. The sign-flip test has p in steps of 2/256,
// so its level is 12/256 = 4.7 %.
TEST(Simulation, OneComparisonErrsInFivePercent) {
  const Shares shares = simulate({.effects = {0, 0}, .stds = {0.005, 0.005}}, "two variants");
  print("2 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  EXPECT_NEAR(shares.block, 0.05, margin(0.05));
  EXPECT_NEAR(shares.paired, 0.05, margin(0.05));
  EXPECT_NEAR(shares.flip, 12.0 / 256, margin(0.05));
  EXPECT_NEAR(shares.pairs, 12.0 / 256, margin(0.05));
  EXPECT_NEAR(shares.covered, 1 - 12.0 / 256, margin(0.05));
}

// Comparisons with a common baseline are correlated, so the family-wise error is slightly below 5
// %.
TEST(Simulation, EightVariantsErrInAtMostFivePercent) {
  const Shares shares = simulate(
      {.effects = std::vector<double>(8), .stds = std::vector<double>(8, 0.005)}, "eight variants");
  print("8 variants, std 0.005", shares);
  EXPECT_LT(kolmogorov(shares.p), 1.95);
  for (const double share : {shares.flip, shares.block, shares.paired, shares.pairs}) {
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
  for (const double share : {shares.flip, shares.pairs}) EXPECT_LE(share, 0.05 + margin(0.05));
  EXPECT_GE(shares.covered, 0.95 - margin(0.05));
  EXPECT_LE(shares.paired, 0.05 + margin(0.05))
      << "the paired t-test does not assume equal variances";
  EXPECT_GT(shares.rejected[6], 0.05) << "swiglu";
  EXPECT_LT(shares.rejected[7], 0.05) << "reglu";
}

// Standard deviations of the first comparisons on prose, with five seeds; relu first.
TEST(Simulation, UnequalSpreadsOfTheResults) {
  const auto of = [](std::vector<double> stds, std::string_view purpose) {
    return simulate({.effects = std::vector<double>(8), .stds = std::move(stds)}, purpose);
  };
  const Shares t5 = of({0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125}, "t5");
  print("8 variants, stds of t5_prose, five seeds", t5);
  const Shares decoder =
      of({0.0081, 0.0088, 0.0030, 0.0081, 0.0276, 0.0132, 0.0169, 0.0095}, "decoder");
  print("8 variants, stds of decoder_prose, five seeds", decoder);
  for (const Shares& shares : {t5, decoder}) {
    for (const double share : {shares.flip, shares.paired, shares.pairs})
      EXPECT_LE(share, 0.05 + margin(0.05));
    EXPECT_GE(shares.covered, 0.95 - margin(0.05));
  }
  EXPECT_GT(t5.block, 0.05 + margin(0.05)) << "the baseline has the largest spread";
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
    std::cout << name << ": power sign-flip " << flip << ", block " << block << ", paired "
              << paired << "; false findings of sign-flip " << false_flip << "\n";
    expect_documented(name, {flip, block, paired, false_flip});
    EXPECT_LE(false_flip, 0.05 + margin(0.05));
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
    std::cout << num_seeds << " seeds, true difference " << truth.effects[3] << ": found " << found
              << "\n";
    EXPECT_NEAR(found, num_seeds == 6 ? 0.6 : 0.8, 0.03);
    expect_documented(cat("power at the detectable difference, ", num_seeds, " seeds"), {found});
  }
}

// Every look judges; a false finding at any of them counts.
TEST(Simulation, LooksErrInAtMostFivePercent) {
  const std::vector<double> t5{0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125};
  for (const Spending spending : {Spending::kObrienFleming, Spending::kPocock}) {
    const Plan plan{.looks = {6, 9, 12}, .spending = spending};
    double wrong = 0, found = 0;
    constexpr std::size_t kTrials = 2'000;
    for (std::size_t n = 0; n < kTrials; ++n) {
      Truth truth{.effects = std::vector<double>(8), .stds = t5, .num_seeds = 12};
      const std::uint64_t key = random_key(n, "looks");
      const auto judged = [&](std::size_t i, const Truth& one) {
        return summarize(random_table(one, key), 0, plan).variants[i].difference->found_at_look;
      };
      const Summary summary = summarize(random_table(truth, key), 0, plan);
      wrong += std::any_of(summary.variants.begin() + 1, summary.variants.end(),
                           [](const auto& v) { return v.difference->found_at_look.has_value(); })
                   ? 1.0 / kTrials
                   : 0;
      truth.effects[3] = -0.04;
      found += judged(3, truth) ? 1.0 / kTrials : 0;
    }
    const double error = 3 * std::sqrt(0.05 * 0.95 / kTrials);
    const std::string name = cat("looks at 6, 9 and 12 seeds, ",
                                 spending == Spending::kPocock ? "Pocock" : "O'Brien-Fleming");
    std::cout << name << ": error " << wrong << ", power " << found << "\n";
    expect_documented(name, {wrong, found});
    EXPECT_LE(wrong, 0.05 + error);
    EXPECT_GE(wrong, 0.015);
    EXPECT_GE(found, 0.5);
  }
}

// Without declared looks: testing after each of 4 to 12 seeds and stopping at the first finding.
TEST(Simulation, UndeclaredLooksErrMoreOften) {
  double wrong = 0;
  constexpr std::size_t kTrials = 4'000;
  for (std::size_t n = 0; n < kTrials; ++n) {
    const Truth truth{.effects = {0, 0}, .stds = {0.005, 0.005}, .num_seeds = 12};
    const std::vector<double> values = random_values(truth, random_key(n, "peeking"));
    bool is_wrong = false;
    for (std::size_t s = 6; s <= 12 && !is_wrong; ++s) {
      Table table(2, s);
      for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t j = 0; j < s; ++j) table.set(i, j, values[i * 12 + j]);
      is_wrong = *summarize(table, 0).variants[1].difference->flip_p <= 0.05;
    }
    wrong += is_wrong ? 1.0 / kTrials : 0;
  }
  std::cout << "peeking: " << wrong << "\n";
  expect_documented("a test after each of 6 to 12 seeds", {wrong});
  EXPECT_GT(wrong, 0.08);
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
  std::cout << "equivalence: wrong " << wrong << ", found " << found << "\n";
  expect_documented("equivalence, margin 0.01, std 0.003", {wrong, found});
  EXPECT_LE(wrong, 0.05 + margin(0.05));
  EXPECT_GE(found, 0.8);
}

}  // namespace
}  // namespace sluice::stats
