// Error rates of the tests on simulated comparisons, and the check of a row of docs/statistics.md.
// Tables are keyed, so the figures are reproducible.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text_format.h"
#include "stats/summary.h"

namespace sluice::stats::testing {

inline constexpr std::size_t kTables = 8'000;

// Three standard errors of a share that is measured on `num_tables` tables.
inline double three_errors(double share, std::size_t num_tables = kTables) {
  return 3 * std::sqrt(share * (1 - share) / static_cast<double>(num_tables));
}

// Checks the row "| name | share | share | ..." of docs/statistics.md, in percent with one decimal.
inline void expect_documented(const std::string& name, const std::vector<double>& shares) {
  std::cout << name << ":";
  for (const double share : shares) std::cout << " " << fixed(100 * share, 2) << " %";
  std::cout << "\n";
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

struct ErrorShares {
  // tables with a false finding among the comparisons with the baseline: sign-flip test with max-T,
  // block model and paired t-test with Holm
  double flip = 0, block = 0, paired = 0;
  // tables with a false finding among all pairs (sign-flip test): more than one letter
  double pairs = 0;
  double covered = 0;            // tables whose intervals all contain the true difference
  std::vector<double> p;         // block model, of variant 1 against the baseline, one per table
  std::vector<double> rejected;  // by variant: share of tables with unadjusted block p at most 5 %
};

// `make_table`: of a number, a table without any effect; the baseline comes first.
template <class MakeTable>
ErrorShares measure_errors(MakeTable make_table, std::size_t num_tables = kTables) {
  ErrorShares shares;
  const double one = 1.0 / static_cast<double>(num_tables);
  for (std::size_t n = 0; n < num_tables; ++n) {
    const Summary summary = summarize(make_table(n), 0);
    shares.rejected.resize(summary.variants.size());
    bool flip = false, block = false, paired = false, covered = true;
    for (std::size_t i = 1; i < summary.variants.size(); ++i) {
      const Difference& difference = *summary.variants[i].difference;
      flip = flip || *difference.flip_p <= 0.05;
      block = block || *difference.p_holm <= 0.05;
      paired = paired || *difference.paired_p_holm <= 0.05;
      covered = covered && difference.interval->low <= 0 && difference.interval->high >= 0;
      if (*difference.p <= 0.05) shares.rejected[i] += one;
    }
    const bool pairs = std::any_of(summary.variants.begin(), summary.variants.end(),
                                   [](const auto& v) { return v.letters != "a"; });
    shares.p.push_back(*summary.variants[1].difference->p);
    if (flip) shares.flip += one;
    if (block) shares.block += one;
    if (paired) shares.paired += one;
    if (pairs) shares.pairs += one;
    if (covered) shares.covered += one;
  }
  return shares;
}

inline void expect_documented_errors(const std::string& name, const ErrorShares& shares) {
  expect_documented(name, {shares.flip, shares.block, shares.paired, shares.pairs, shares.covered});
}

}  // namespace sluice::stats::testing
