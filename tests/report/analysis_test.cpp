#include "report/analysis.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

TEST(Analysis, IsIndependentOfTheOrderOfCells) {
  Comparison comparison = example_comparison({.num_variants = 3});
  const Analysis before = analyze(comparison);
  std::reverse(comparison.cells.begin(), comparison.cells.end());
  const Analysis after = analyze(comparison);
  for (std::size_t v = 0; v < 3; ++v) {
    EXPECT_EQ(before.summary.variants[v].mean, after.summary.variants[v].mean);
    EXPECT_EQ(before.summary.variants[v].letters, after.summary.variants[v].letters);
  }
}

TEST(Analysis, RejectsCellsOutsideTheGrid) {
  Comparison unknown_seed = example_comparison({.num_variants = 2});
  unknown_seed.cells[0].seed = 99;
  EXPECT_THROW(analyze(unknown_seed), InvariantError);
  Comparison duplicate = example_comparison({.num_variants = 2});
  duplicate.cells.push_back(duplicate.cells[0]);
  EXPECT_THROW(analyze(duplicate), InvariantError);
  Comparison no_baseline = example_comparison({.num_variants = 2});
  no_baseline.baseline = 2;
  EXPECT_THROW(analyze(no_baseline), InvariantError);
}

TEST(Analysis, RejectsDifferentHeldOutDocuments) {
  Comparison comparison = example_comparison({.num_variants = 2});
  cell_at(comparison, 1, 0).documents[3].num_targets += 1;
  EXPECT_THROW(analyze(comparison), UserError);
}

TEST(Analysis, VerdictsUseHolmAdjustedPValues) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(verdict_of(analysis, 0), Verdict::kNone);            // the baseline
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kLower);           // geglu
  EXPECT_EQ(verdict_of(analysis, 2), Verdict::kNotSignificant);  // swish
  EXPECT_NE(headline(comparison, analysis)
                .find("are significantly better than relu (lower held-out log-perplexity)."),
            std::string::npos);
  Comparison reversed = comparison;
  reversed.baseline = 5;
  EXPECT_EQ(verdict_of(analyze(reversed), 0), Verdict::kHigher);
  EXPECT_NE(headline(reversed, analyze(reversed)).find("significantly worse than geglu (higher)."),
            std::string::npos);
}

TEST(Analysis, AVariantWithADivergedRunHasNoVerdict) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 5, 2), CellState::kDiverged, "NaN");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 5 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
  EXPECT_FALSE(analysis.summary.variants[5].difference);
  EXPECT_EQ(verdict_of(analysis, 6), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison, "geglu: 1 of 5 diverged; no verdict."));
  EXPECT_NE(
      headline(comparison, analysis).find("geglu has no verdict because a run diverged or failed."),
      std::string::npos);
}

TEST(Analysis, WaitingRunsAreNotFailures) {
  Comparison comparison = example_comparison({});
  for (std::size_t seed = 0; seed < 5; ++seed)
    cell_at(comparison, 5, seed) = {.settings = comparison.variants[5].settings,
                                    .seed = comparison.seeds[seed]};
  EXPECT_TRUE(has_note(comparison, "geglu: 5 of 5 waiting; no verdict yet."));
  for (CellResult& cell : comparison.cells) cell = {.settings = cell.settings, .seed = cell.seed};
  EXPECT_EQ(analyze(comparison).summary.untested, "fewer than two variants have a finished run");
}

TEST(Analysis, ReportsTheLearningRateSelection) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "Learning rate: optimizer.lr was tuned"));
  comparison.tuning_note.clear();
  EXPECT_TRUE(has_note(comparison, "Learning rate: the same for all variants, not tuned."));
  const auto with_key = [&](const std::string& key) {
    Comparison other = comparison;
    for (Variant& variant : other.variants) variant.settings[0].first = key;
    for (CellResult& cell : other.cells) cell.settings[0].first = key;
    return other;
  };
  EXPECT_TRUE(has_note(with_key("optimizer.lr"), "Learning rate: varied, not tuned."));
  EXPECT_TRUE(
      has_note(with_key("optimizer.type"), "Learning rate: configured per optimizer, not tuned."));
  comparison.tuning_note = "chosen for each variant by itself (optimizer.beta2 from 0.9)";
  EXPECT_TRUE(has_note(
      comparison,
      "Learning rate: the same for all variants, not tuned. Other settings: chosen for each"));
}

TEST(Analysis, ReportsDisagreementWithThePairedTest) {
  Comparison comparison = example_comparison({});
  const auto set = [&](std::size_t variant, const std::array<double, 5>& differences) {
    for (std::size_t seed = 0; seed < differences.size(); ++seed)
      cell_at(comparison, variant, seed).log_perplexity =
          *cell_at(comparison, 0, seed).log_perplexity + differences.at(seed);
  };
  for (std::size_t variant = 1; variant < 8; ++variant)
    set(variant, {-0.031, -0.029, -0.030, -0.032, -0.028});
  EXPECT_FALSE(has_note(comparison, "Significant in the block model but not"));
  // pooled with variants of small variance, its own variance has little weight
  set(5, {-0.06, -0.02, 0.005, -0.055, -0.01});
  const Analysis analysis = analyze(comparison);
  ASSERT_EQ(verdict_of(analysis, 5), Verdict::kLower);
  ASSERT_GT(analysis.summary.variants[5].difference->paired_p_holm.value(), 0.05);
  EXPECT_TRUE(has_note(comparison,
                       "Significant in the block model but not in the paired t-test, which does "
                       "not assume equal variances: geglu."));
  // Among variants of large variance, a consistent difference is not significant.
  for (std::size_t variant = 1; variant < 8; ++variant)
    set(variant, {-0.06, 0.09, -0.08, 0.07, -0.05});
  set(5, {-0.0055, -0.0045, -0.0050, -0.0052, -0.0048});
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kNotSignificant);
  EXPECT_TRUE(has_note(comparison,
                       "Significant only in the paired t-test, which does not assume equal "
                       "variances: geglu."));
}

TEST(Analysis, ReportsChoicesAtTheEdgeOfTheGrid) {
  Comparison comparison = example_comparison({});
  EXPECT_FALSE(has_note(comparison, "At the edge"));
  comparison.variants[1].tuned = {{"optimizer.lr", "1e-3"}};
  comparison.variants[5].tuned = {{"optimizer.lr", "1e-2"}};
  EXPECT_TRUE(has_note(
      comparison,
      "a better value may lie outside: gelu (optimizer.lr 1e-3), geglu (optimizer.lr 1e-2)."));
  for (TuningPoint& point : comparison.tuning) point.candidate[0].second = "word";
  EXPECT_FALSE(has_note(comparison, "At the edge"));
  comparison.tuning.clear();
  EXPECT_FALSE(has_note(comparison, "At the edge"));
}

TEST(Analysis, AFinishedCellWithoutAResultHasDiverged) {
  Comparison comparison = example_comparison({});
  cell_at(comparison, 5, 2).log_perplexity.reset();
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 5 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
}

TEST(Analysis, AFailedBaselineGivesNoDifferences) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 0, 0), CellState::kFailed, "killed");
  const Analysis analysis = analyze(comparison);
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone);
}

TEST(Analysis, WaitingCellsMakeTheResultPreliminary) {
  Comparison comparison = example_comparison({});
  for (std::size_t v = 0; v < 8; ++v)
    break_cell(cell_at(comparison, v, 4), CellState::kWaiting, "");
  // a missing cell counts as waiting
  comparison.cells.erase(comparison.cells.begin() + 39);
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 3), "1 of 5 waiting");
  EXPECT_EQ(status_of(comparison, analysis, 7), "1 of 5 waiting");
  EXPECT_EQ(analysis.summary.blocks.size(), 4U);
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison, "reliminary"));
}

TEST(Analysis, OneSeedHasNoTests) {
  const Comparison comparison = example_comparison({.num_seeds = 1});
  const Analysis analysis = analyze(comparison);
  EXPECT_FALSE(analysis.is_tested());
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone);
  EXPECT_EQ(verdict(comparison, analysis),
            "Only one seed: no significance tests, variants are not ranked.");
  EXPECT_TRUE(has_note(comparison,
                       "no standard deviations, confidence intervals or p-values, and variants are "
                       "not ranked"));
  EXPECT_FALSE(analysis.detectable_difference);
}

// Five seeds are requested, so the note for a single seed does not apply.
TEST(Analysis, OneCompleteSeedGivesNoVerdictYet) {
  Comparison comparison = example_comparison({});
  for (std::size_t v = 0; v < 8; ++v)
    for (std::size_t s = v == 0 ? 5 : 1; s < 5; ++s)
      break_cell(cell_at(comparison, v, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(headline(comparison, analysis)
                .find("No verdict: fewer than two seeds are finished for every variant (1 of 5)"),
            0U);
  EXPECT_FALSE(has_note(comparison, "no standard deviation"));
}

// One seed of a variant that was added later.
TEST(Analysis, APendingVariantIsListedAndDoesNotAffectTheOthers) {
  const Comparison finished = example_comparison({.num_variants = 7});
  const Analysis before = analyze(finished);
  Comparison comparison = example_comparison({});
  for (const std::size_t s : {0U, 1U, 3U, 4U})
    break_cell(cell_at(comparison, 7, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  for (std::size_t v = 0; v < 7; ++v)
    EXPECT_EQ(verdict_of(analysis, v), verdict_of(before, v)) << v;
  EXPECT_EQ(verdict(comparison, analysis),
            cat(verdict(finished, before),
                " reglu (missing seeds 1, 2, 4 and 5) is pending and excluded from the verdict."));
  EXPECT_TRUE(has_note(comparison, "Holm-adjusted for 6 comparisons with the baseline"));
  EXPECT_TRUE(has_note(comparison,
                       "Variants excluded until their runs have finished: reglu (missing seeds 1, "
                       "2, 4 and 5)."));
  EXPECT_TRUE(has_note(comparison, "reglu: 4 of 5 waiting; no verdict yet."));
  EXPECT_FALSE(has_note(finished, "excluded"));
}

TEST(Analysis, AnExcludedSeedIsListed) {
  Comparison comparison = example_comparison({.num_variants = 4});
  for (const std::size_t v : {1U, 2U, 3U})
    break_cell(cell_at(comparison, v, 4), CellState::kWaiting, "");
  EXPECT_TRUE(has_note(comparison,
                       "Seeds excluded until all compared variants have finished them: 5 (missing "
                       "for gelu, swish and glu)."));
  EXPECT_TRUE(has_note(comparison, "model over seeds 1, 2, 3 and 4."));
}

TEST(Analysis, APendingBaselineGivesOnlyLetters) {
  Comparison comparison = example_comparison({.num_variants = 4});
  for (std::size_t s = 1; s < 5; ++s)
    break_cell(cell_at(comparison, 0, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(verdict(comparison, analysis),
            "No comparison with the baseline relu (4 of 5 waiting); the letters compare the other "
            "variants.");
  EXPECT_NE(analysis.summary.variants[2].letters, "");
  EXPECT_FALSE(analysis.detectable_difference);  // no comparison is made
}

}  // namespace
}  // namespace sluice::report
