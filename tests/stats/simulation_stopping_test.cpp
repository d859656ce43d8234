// Error rates of stopping rules: declared looks, and the optional stopping that the rules of
// summary.h and the fixed plan prevent. docs/statistics.md lists them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stats/looks.h"
#include "stats/sign_flip.h"
#include "stats/summary.h"
#include "tests/stats/random_table.h"
#include "tests/stats/simulation.h"

namespace sluice::stats {
namespace {

using testing::expect_documented;
using testing::kTables;
using testing::random_values;
using testing::table_of;
using testing::three_errors;
using testing::Truth;

constexpr double kOneTable = 1.0 / kTables;

// Adjusted p of the first `num_variants` variants and `num_seeds` seeds against variant 0.
// `values`: [variants, truth.num_seeds].
std::vector<double> p_of_part(const Truth& truth, const std::vector<double>& values,
                              std::size_t num_variants, std::size_t num_seeds) {
  std::vector<double> differences;
  for (std::size_t i = 1; i < num_variants; ++i)
    for (std::size_t j = 0; j < num_seeds; ++j)
      differences.push_back(values[i * truth.num_seeds + j] - values[j]);
  return SignFlips(num_seeds, differences, 0, 0).adjusted_p();
}

bool any_within(const std::vector<double>& p, double level) {
  return *std::min_element(p.begin(), p.end()) <= level;
}

// 8 variants, 12 seeds, stds of t5_prose.
Truth looked_at() {
  return {.effects = std::vector<double>(8),
          .stds = {0.0261, 0.0176, 0.0145, 0.0086, 0.0086, 0.0089, 0.0129, 0.0125},
          .num_seeds = 12};
}

// p of all comparisons by number of seeds.
std::map<std::int64_t, std::vector<double>> p_by_seeds(const Truth& truth, std::uint64_t key) {
  const std::vector<double> values = random_values(truth, key);
  std::map<std::int64_t, std::vector<double>> p;
  for (const std::int64_t s : {4, 6, 8, 9, 12})
    p[s] = p_of_part(truth, values, 8, static_cast<std::size_t>(s));
  return p;
}

struct LookShares {
  std::string name;
  Plan plan;
  double wrong = 0, found = 0;  // a false finding at any look; variant 3 at any look
};

std::vector<double> levels_of(const Plan& plan) {
  return plan.looks.size() == 1 ? std::vector<double>{0.05}
                                : look_levels(plan.looks, plan.spending, 0.05);
}

std::vector<LookShares> measure_looks() {
  using Looks = std::vector<std::int64_t>;
  std::vector<LookShares> rows{{"one test at 12 seeds", {.looks = {12}}}};
  for (const auto& [name, looks] : {std::pair("looks at 4, 8 and 12 seeds", Looks{4, 8, 12}),
                                    {"looks at 6, 9 and 12 seeds", Looks{6, 9, 12}}}) {
    rows.push_back({cat(name, ", O'Brien-Fleming"), {.looks = looks}});
    rows.push_back({cat(name, ", Pocock"), {.looks = looks, .spending = Spending::kPocock}});
  }
  Truth without = looked_at(), with = without;
  with.effects[3] = -0.04;
  for (std::size_t n = 0; n < kTables; ++n) {
    const std::uint64_t key = random_key(n, "looks");
    auto p = p_by_seeds(without, key), p_with = p_by_seeds(with, key);
    for (LookShares& row : rows) {
      const std::vector<double> levels = levels_of(row.plan);
      bool wrong = false, found = false;
      for (std::size_t k = 0; k < levels.size(); ++k) {
        wrong = wrong || any_within(p[row.plan.looks[k]], levels[k]);
        found = found || p_with[row.plan.looks[k]][2] <= levels[k];
      }
      row.wrong += wrong ? kOneTable : 0;
      row.found += found ? kOneTable : 0;
    }
  }
  return rows;
}

// Every look judges; a false finding at any of them counts.
TEST(StoppingSimulation, LooksErrInAtMostFivePercent) {
  for (const LookShares& row : measure_looks()) {
    expect_documented(row.name, {row.wrong, row.found});
    EXPECT_LE(row.wrong, 0.05 + three_errors(0.05)) << row.name;
    EXPECT_GE(row.wrong, 0.02) << row.name;
    EXPECT_GE(row.found, 0.75) << row.name;
  }
}

// The simulation above decides as summarize() does.
TEST(StoppingSimulation, LooksAreThoseOfSummarize) {
  const Plan plan{.looks = {6, 9, 12}, .spending = Spending::kPocock};
  const std::vector<double> levels = levels_of(plan);
  Truth truth = looked_at();
  truth.effects[3] = -0.02;
  for (std::uint64_t n = 0; n < 50; ++n) {
    const std::uint64_t key = random_key(n, "looks of summarize");
    const Summary summary = summarize(table_of(8, random_values(truth, key)), 0, plan);
    auto p = p_by_seeds(truth, key);
    for (std::size_t i = 1; i < 8; ++i) {
      std::optional<std::size_t> first;
      for (std::size_t k = levels.size(); k-- > 0;)
        if (p[plan.looks[k]][i - 1] <= levels[k]) first = k;
      EXPECT_EQ(summary.variants[i].difference->found_at_look, first) << n << " " << i;
    }
  }
}

const Truth kPairOfVariants{.effects = {0, 0}, .stds = {0.005, 0.005}, .num_seeds = 12};

// Testing after each of 6 to 12 seeds and stopping at the first finding.
TEST(StoppingSimulation, UndeclaredLooksErrMoreOften) {
  double wrong = 0;
  for (std::size_t n = 0; n < kTables; ++n) {
    const std::vector<double> values = random_values(kPairOfVariants, random_key(n, "peeking"));
    bool is_wrong = false;
    for (std::size_t s = 6; s <= 12 && !is_wrong; ++s)
      is_wrong = any_within(p_of_part(kPairOfVariants, values, 2, s), 0.05);
    wrong += is_wrong ? kOneTable : 0;
  }
  expect_documented("a test after each of 6 to 12 seeds", {wrong});
  EXPECT_GT(wrong, 0.08);
}

// Five seeds, which cannot give a verdict, are extended to six if all of them agree in sign, else
// to twelve. Given five that agree, the sixth does in half of the tables: 1/32 of all tables are
// significant with six seeds.
TEST(StoppingSimulation, ExtendingFiveSeedsByTheirResultsErrsMoreOften) {
  double wrong = 0;
  for (std::size_t n = 0; n < kTables; ++n) {
    const std::vector<double> values = random_values(kPairOfVariants, random_key(n, "extension"));
    std::size_t num_better = 0;
    for (std::size_t j = 0; j < 5; ++j) num_better += values[12 + j] < values[j] ? 1 : 0;
    const std::size_t num_seeds = num_better == 0 || num_better == 5 ? 6 : 12;
    wrong += any_within(p_of_part(kPairOfVariants, values, 2, num_seeds), 0.05) ? kOneTable : 0;
  }
  expect_documented("five seeds extended to 6 if all agree in sign, else to 12", {wrong});
  EXPECT_GT(wrong, 0.05 + three_errors(0.05));
  EXPECT_LT(wrong, 0.08);
}

// Variants are added to a finished comparison, each with all eight seeds, until one is significant.
// summarize() has no test while a declared variant waits.
TEST(StoppingSimulation, AddingVariantsUntilOneIsSignificantErrsMoreOften) {
  const Truth truth{
      .effects = std::vector<double>(16), .stds = std::vector<double>(16, 0.005), .num_seeds = 8};
  std::map<std::size_t, double> wrong{{4, 0}, {8, 0}, {16, 0}};
  for (std::size_t n = 0; n < kTables; ++n) {
    const std::vector<double> values = random_values(truth, random_key(n, "added variants"));
    std::size_t v = 2;
    while (v <= 16 && !any_within(p_of_part(truth, values, v, 8), 0.05)) ++v;
    for (auto& [most, share] : wrong) share += v <= most ? kOneTable : 0;
  }
  for (const auto& [most, share] : wrong) {
    expect_documented(cat("variants added until one is significant, up to ", most), {share});
    EXPECT_GT(share, 0.05 + three_errors(0.05)) << most;
    EXPECT_LT(share, 0.15) << most;
  }
}

}  // namespace
}  // namespace sluice::stats
