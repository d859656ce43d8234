#include "report/curves.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/report/example.h"

namespace sluice::report {
namespace {

// Two variants and two seeds, with curves of simple means.
Comparison two_by_two() {
  Comparison comparison = example_comparison({.num_variants = 2, .num_seeds = 2, .num_points = 4});
  for (std::size_t v = 0; v < 2; ++v) {
    for (std::size_t s = 0; s < 2; ++s) {
      CellResult& cell = cell_at(comparison, v, s);
      cell.steps = 30;
      cell.tokens = 300;
      const double base = 5 - static_cast<double>(v) + 0.5 * static_cast<double>(s);
      cell.held_out = {
          {10, base + 2, 1}, {20, base + 1, 2}, {30, base, 3 + static_cast<double>(s)}};
      cell.training = cell.held_out;
    }
  }
  comparison.variants[1].sizes.flops_per_token = 7;
  return comparison;
}

TEST(Curves, MeanAndRangeOverTheSeeds) {
  const Comparison comparison = two_by_two();
  const Band band = band_of(comparison, analyze(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 3U);
  EXPECT_EQ(band[2].step, 30);
  EXPECT_DOUBLE_EQ(band[2].mean, 4.25);
  EXPECT_DOUBLE_EQ(band[2].low, 4);
  EXPECT_DOUBLE_EQ(band[2].high, 4.5);
  EXPECT_DOUBLE_EQ(band[2].seconds, 3.5);
  EXPECT_DOUBLE_EQ(band[2].flops, 30 * 10 * 7);
}

TEST(Curves, UsesOnlyStepsOfAllSeeds) {
  Comparison comparison = two_by_two();
  cell_at(comparison, 1, 0).held_out.erase(cell_at(comparison, 1, 0).held_out.begin());
  cell_at(comparison, 1, 1).held_out[1].log_perplexity = NAN;
  const Band band = band_of(comparison, analyze(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 1U);
  EXPECT_EQ(band[0].step, 30);
}

TEST(Curves, SkipsDivergedAndWaitingCells) {
  Comparison comparison = two_by_two();
  break_cell(cell_at(comparison, 1, 1), CellState::kDiverged, "");
  const Band band = band_of(comparison, analyze(comparison), 1, CurveKind::kHeldOut, 100);
  ASSERT_EQ(band.size(), 3U);
  EXPECT_DOUBLE_EQ(band[2].mean, 4);
  break_cell(cell_at(comparison, 1, 0), CellState::kWaiting, "");
  EXPECT_TRUE(band_of(comparison, analyze(comparison), 1, CurveKind::kHeldOut, 100).empty());
}

TEST(Curves, DifferencesArePairedWithinSeeds) {
  const Comparison comparison = two_by_two();
  const Band band = difference_band(comparison, analyze(comparison), 1, 100);
  ASSERT_EQ(band.size(), 3U);
  // The seeds differ by 0.5, but their differences are equal.
  EXPECT_DOUBLE_EQ(band[1].low, -1);
  EXPECT_DOUBLE_EQ(band[1].mean, -1);
  EXPECT_DOUBLE_EQ(band[1].high, -1);
}

TEST(Curves, HeldOutValuesAreInTheUnitOfTheMetric) {
  Comparison comparison = example_comparison({.num_variants = 2, .num_seeds = 2});
  comparison.metric = Metric::kBitsPerByte;
  const Analysis analysis = analyze(comparison);
  const Band held_out = band_of(comparison, analysis, 1, CurveKind::kHeldOut, 100),
             difference = difference_band(comparison, analysis, 1, 100);
  EXPECT_NEAR(held_out.back().mean, *analysis.summary.variants[1].mean, 1e-12);
  EXPECT_NEAR(difference.back().mean, analysis.summary.variants[1].difference->value, 1e-12);
}

TEST(Curves, ThinningKeepsTheLastPoint) {
  const Comparison comparison =
      example_comparison({.num_variants = 2, .num_seeds = 2, .num_points = 300});
  const Analysis analysis = analyze(comparison);
  const Band band = band_of(comparison, analysis, 0, CurveKind::kHeldOut, 50);
  EXPECT_EQ(band.size(), 50U);
  EXPECT_NEAR(band.back().mean, *analysis.summary.variants[0].mean, 1e-12);
  const Band training = band_of(comparison, analysis, 0, CurveKind::kTraining, 50);
  EXPECT_EQ(training.size(), 50U);
  EXPECT_LT(training.front().step, training.back().step);
}

}  // namespace
}  // namespace sluice::report
