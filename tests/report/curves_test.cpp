#include "report/curves.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/report/example.h"

namespace sluice::report {
namespace {

// Two variants, two seeds, curves whose means are easy to say.
Comparison two_by_two() {
  Comparison comparison = example_comparison({.num_variants = 2, .num_seeds = 2, .num_points = 4});
  for (std::size_t v = 0; v < 2; ++v) {
    for (std::size_t s = 0; s < 2; ++s) {
      Cell& cell = cell_at(comparison, v, s);
      cell.steps = 30;
      cell.tokens = 300;
      const double base = 5 - static_cast<double>(v) + 0.5 * static_cast<double>(s);
      cell.held_out = {{10, base + 2, 1}, {20, base + 1, 2}, {30, base, 3 + static_cast<double>(s)}};
      cell.training = cell.held_out;
    }
  }
  comparison.variants[1].flops_per_token = 7;
  return comparison;
}

TEST(Curves, MeanAndRangeOverTheSeeds) {
  const Comparison comparison = two_by_two();
  const Band band = band_of(comparison, analyse(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 3U);
  EXPECT_EQ(band[2].step, 30);
  EXPECT_DOUBLE_EQ(band[2].mean, 4.25);
  EXPECT_DOUBLE_EQ(band[2].low, 4);
  EXPECT_DOUBLE_EQ(band[2].high, 4.5);
  EXPECT_DOUBLE_EQ(band[2].seconds, 3.5);
  EXPECT_DOUBLE_EQ(band[2].flops, 30 * 10 * 7);
}

TEST(Curves, OnlyStepsThatAllSeedsHave) {
  Comparison comparison = two_by_two();
  cell_at(comparison, 1, 0).held_out.erase(cell_at(comparison, 1, 0).held_out.begin());
  cell_at(comparison, 1, 1).held_out[1].log_perplexity = NAN;
  const Band band = band_of(comparison, analyse(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 1U);
  EXPECT_EQ(band[0].step, 30);
}

TEST(Curves, BrokenAndWaitingCellsAreLeftOut) {
  Comparison comparison = two_by_two();
  break_cell(cell_at(comparison, 1, 1), CellStatus::kDiverged, "");
  const Band band = band_of(comparison, analyse(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 3U);
  EXPECT_DOUBLE_EQ(band[2].mean, 4);
  break_cell(cell_at(comparison, 1, 0), CellStatus::kWaiting, "");
  EXPECT_TRUE(band_of(comparison, analyse(comparison), 1, CurveKind::kHeldOut, 100).empty());
}

TEST(Curves, DifferencesArePairedWithinSeeds) {
  const Comparison comparison = two_by_two();
  const Band band = difference_band(comparison, analyse(comparison), 1, 100);
  ASSERT_EQ(band.size(), 3U);
  // The seeds differ by 0.5 in level and not at all in the difference.
  EXPECT_DOUBLE_EQ(band[1].low, -1);
  EXPECT_DOUBLE_EQ(band[1].mean, -1);
  EXPECT_DOUBLE_EQ(band[1].high, -1);
}

TEST(Curves, ThinningKeepsTheEnd) {
  const Comparison comparison = example_comparison({.num_variants = 2, .num_seeds = 2, .num_points = 300});
  const Analysis analysis = analyse(comparison);
  const Band band = band_of(comparison, analysis, 0, CurveKind::kHeldOut, 50);
  EXPECT_EQ(band.size(), 50U);
  EXPECT_NEAR(band.back().mean, *analysis.summary.variants[0].mean, 1e-12);
  const Band training = band_of(comparison, analysis, 0, CurveKind::kTraining, 50);
  EXPECT_EQ(training.size(), 50U);
  EXPECT_LT(training.front().step, training.back().step);
}

}  // namespace
}  // namespace sluice::report
