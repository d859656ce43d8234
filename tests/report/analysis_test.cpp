#include "report/analysis.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "report/outcome.h"
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

TEST(Analysis, VerdictsUseTheSignFlipTest) {
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
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 8 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
  EXPECT_FALSE(analysis.summary.variants[5].difference);
  EXPECT_EQ(verdict_of(analysis, 6), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison, "geglu: 1 of 8 diverged; no verdict."));
  EXPECT_NE(
      headline(comparison, analysis).find("geglu has no verdict because a run diverged or failed."),
      std::string::npos);
}

TEST(Analysis, WaitingRunsAreNotFailures) {
  Comparison comparison = example_comparison({});
  for (std::size_t seed = 0; seed < 8; ++seed)
    cell_at(comparison, 5, seed) = {.settings = comparison.variants[5].settings,
                                    .seed = comparison.seeds[seed]};
  EXPECT_TRUE(has_note(comparison, "geglu: 8 of 8 waiting; no verdict yet."));
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

TEST(Analysis, ReportsDisagreementWithThePooledTest) {
  Comparison comparison = example_comparison({});
  const auto set = [&](std::size_t variant, const std::array<double, 8>& differences) {
    for (std::size_t seed = 0; seed < differences.size(); ++seed)
      cell_at(comparison, variant, seed).log_perplexity =
          *cell_at(comparison, 0, seed).log_perplexity + differences.at(seed);
  };
  for (std::size_t variant = 1; variant < 8; ++variant)
    set(variant, {-0.031, -0.029, -0.030, -0.032, -0.028, -0.033, -0.027, -0.030});
  EXPECT_FALSE(has_note(comparison, "pooled t-test, which assumes"));
  // pooled with variants of small variance, its own variance has little weight
  set(5, {-0.06, -0.02, 0.005, -0.055, -0.01, 0.01, -0.05, -0.01});
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kNotSignificant);
  EXPECT_TRUE(has_note(comparison,
                       "Significant only in the pooled t-test, which assumes equal variances: "
                       "geglu. The verdict is that of the sign-flip test."));
  // Among variants of large variance, a consistent difference is not significant in that test.
  for (std::size_t variant = 1; variant < 8; ++variant)
    set(variant, {-0.06, 0.09, -0.08, 0.07, -0.05, 0.08, -0.09, 0.06});
  set(5, {-0.0055, -0.0045, -0.0050, -0.0052, -0.0048, -0.0051, -0.0049, -0.0053});
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison,
                       "Not significant in the pooled t-test, which assumes equal variances: "
                       "geglu."));
}

TEST(Analysis, FiveSeedsHaveNoVerdict) {
  const Comparison comparison = example_comparison({.num_seeds = 5});
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(headline(comparison, analysis)
                .find("No verdict is possible with 5 seeds: the smallest p of the sign-flip test "
                      "is 0.0625, so at least 6 seeds are needed."),
            0U);
  EXPECT_TRUE(has_note(comparison, "No difference can be significant with 5 seeds"));
  for (const VariantOutcome& outcome : outcomes(comparison, analysis))
    EXPECT_EQ(outcome.outcome, Outcome::kUndecided);
  EXPECT_EQ(overall(outcomes(comparison, analysis)), Overall::kUndecided);
}

TEST(Analysis, EquivalenceAndOutcomes) {
  Comparison comparison = example_comparison({.num_variants = 3});
  const auto set = [&](std::size_t variant, double difference, double spread) {
    for (std::size_t seed = 0; seed < 8; ++seed)
      cell_at(comparison, variant, seed).log_perplexity =
          *cell_at(comparison, 0, seed).log_perplexity + difference +
          spread * (static_cast<double>(seed * seed % 7) - 2.5);
  };
  set(1, 0.0001, 0.0002);
  set(2, -0.05, 0.0002);
  comparison.margin = 0.01;
  const auto outcome_of = [&](std::size_t v) {
    return outcomes(comparison, analyze(comparison))[v - 1].outcome;
  };
  EXPECT_EQ(outcome_of(1), Outcome::kEquivalent);
  EXPECT_EQ(outcome_of(2), Outcome::kBetter);
  const auto all = [&] { return overall(outcomes(comparison, analyze(comparison))); };
  EXPECT_EQ(all(), Overall::kDiffers);
  EXPECT_NE(headline(comparison, analyze(comparison))
                .find("gelu is equivalent to relu: less than 0.01 nats per target token apart."),
            std::string::npos);
  set(2, 0.0002, 0.0002);
  EXPECT_EQ(all(), Overall::kEquivalent);
  set(2, 0.0002, 0.02);
  EXPECT_EQ(all(), Overall::kUndecided);
  EXPECT_NE(headline(comparison, analyze(comparison)).find("swish is undecided: neither different"),
            std::string::npos);
  comparison.plan_changes = {"seeds were added after a verdict on 6 seeds was possible"};
  EXPECT_EQ(all(), Overall::kBroken);
  EXPECT_EQ(headline(comparison, analyze(comparison))
                .find("The error rate does not hold: seeds were added after a verdict"),
            0U);
  comparison.plan_changes.clear();
  break_cell(cell_at(comparison, 1, 2), CellState::kDiverged, "NaN");
  EXPECT_EQ(outcome_of(1), Outcome::kBroken);
  EXPECT_EQ(all(), Overall::kBroken);
}

// Between looks there are no tests; at a look, those of its seeds.
TEST(Analysis, LooksAreReported) {
  Comparison comparison = example_comparison({});
  comparison.looks = {4, 6, 8};
  comparison.spending = stats::Spending::kPocock;
  EXPECT_TRUE(has_note(comparison, "at 4, 6 and 8 seeds (Pocock spending). This is look 3 of 3."));
  for (std::size_t v = 0; v < 8; ++v)
    break_cell(cell_at(comparison, v, 7), CellState::kWaiting, "");
  const Analysis between = analyze(comparison);
  EXPECT_FALSE(between.is_tested());
  EXPECT_EQ(
      verdict(comparison, between),
      "No verdict: between looks, 8 runs are not finished; the next test is made on 8 seeds.");
  EXPECT_TRUE(has_note(comparison, "Between looks there is no test."));
  for (std::size_t v = 0; v < 8; ++v)
    break_cell(cell_at(comparison, v, 6), CellState::kWaiting, "");
  const Analysis look = analyze(comparison);
  EXPECT_TRUE(look.is_tested());
  EXPECT_EQ(look.summary.blocks.size(), 6U);
  EXPECT_TRUE(has_note(comparison, "This is look 2 of 3."));
  for (std::size_t v = 0; v < 8; ++v) {  // seed 8 has finished, seed 7 has not
    cell_at(comparison, v, 7).state = CellState::kFinished;
    cell_at(comparison, v, 7).log_perplexity = 4.0;
  }
  EXPECT_TRUE(has_note(comparison, "and 8 (after an unfinished one)."));
}

// A difference found at a look stays found; the verdict says that it was.
TEST(Analysis, AnEarlierLookIsNamedInTheVerdict) {
  Comparison comparison = example_comparison({.num_variants = 2, .num_seeds = 12});
  comparison.looks = {8, 12};
  for (std::size_t s = 0; s < 12; ++s)
    cell_at(comparison, 1, s).log_perplexity =
        *cell_at(comparison, 0, s).log_perplexity +
        (s < 8 ? -0.02 - 0.0001 * static_cast<double>(s) : 0.06);
  const Analysis analysis = analyze(comparison);
  ASSERT_EQ(verdict_of(analysis, 1), Verdict::kLower);
  EXPECT_NE(verdict(comparison, analysis)
                .find("gelu was decided at look 1, on 8 seeds; the figures are those of 12 seeds."),
            std::string::npos);
  EXPECT_NE(outcome_line(comparison, analysis, outcomes(comparison, analysis)[0])
                .find("(decided at look 1, on 8 seeds"),
            std::string::npos);
}

// No number of seeds would decide: the test does not apply.
TEST(Analysis, AConstantDifferenceIsNotDecidedByMoreSeeds) {
  Comparison comparison = example_comparison({.num_variants = 2});
  for (std::size_t s = 0; s < 8; ++s)
    cell_at(comparison, 1, s).log_perplexity = *cell_at(comparison, 0, s).log_perplexity + 0.01;
  EXPECT_FALSE(analyze(comparison).summary.variants[1].difference->seeds_to_decide);
}

TEST(Analysis, AFinishedCellWithoutAResultHasDiverged) {
  Comparison comparison = example_comparison({});
  cell_at(comparison, 5, 2).log_perplexity.reset();
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 8 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
}

TEST(Analysis, AFailedBaselineGivesNoDifferences) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 0, 0), CellState::kFailed, "killed");
  const Analysis analysis = analyze(comparison);
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone);
}

TEST(Analysis, WaitingCellsGiveNoVerdict) {
  Comparison comparison = example_comparison({});
  for (std::size_t v = 0; v < 8; ++v)
    break_cell(cell_at(comparison, v, 7), CellState::kWaiting, "");
  // a missing cell counts as waiting
  comparison.cells.pop_back();
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 3), "1 of 8 waiting");
  EXPECT_EQ(status_of(comparison, analysis, 7), "1 of 8 waiting");
  EXPECT_EQ(analysis.summary.blocks.size(), 7U);
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
  EXPECT_TRUE(analysis.summary.variants[5].difference);
  EXPECT_EQ(verdict(comparison, analysis),
            "No verdict: preliminary, 8 runs are not finished; tests are made on all 8 seeds "
            "of all variants.");
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
    for (std::size_t s = v == 0 ? 8 : 1; s < 8; ++s)
      break_cell(cell_at(comparison, v, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(
      headline(comparison, analysis).find("No verdict: preliminary, 49 runs are not finished"), 0U);
  EXPECT_FALSE(has_note(comparison, "no standard deviation"));
}

// A variant with unfinished runs leaves all variants without a verdict.
TEST(Analysis, APendingVariantIsAwaited) {
  Comparison comparison = example_comparison({});
  for (const std::size_t s : {0U, 1U, 3U, 4U, 5U, 6U, 7U})
    break_cell(cell_at(comparison, 7, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone) << v;
  EXPECT_EQ(verdict(comparison, analysis).find("No verdict: preliminary, 7 runs are not finished"),
            0U);
  EXPECT_TRUE(has_note(comparison, "reglu: 7 of 8 waiting; no verdict yet."));
  EXPECT_EQ(overall(outcomes(comparison, analysis)), Overall::kUndecided);
}

TEST(Analysis, APendingBaselineIsAwaited) {
  Comparison comparison = example_comparison({.num_variants = 4});
  for (std::size_t s = 1; s < 8; ++s)
    break_cell(cell_at(comparison, 0, s), CellState::kWaiting, "");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(verdict(comparison, analysis).find("No verdict: preliminary, 7 runs are not finished"),
            0U);
  EXPECT_EQ(analysis.summary.variants[2].letters, "");
}

TEST(Analysis, ABrokenBaselineGivesOnlyLetters) {
  Comparison comparison = example_comparison({.num_variants = 4});
  break_cell(cell_at(comparison, 0, 3), CellState::kDiverged, "NaN");
  const Analysis analysis = analyze(comparison);
  EXPECT_EQ(verdict(comparison, analysis),
            "No comparison with the baseline relu (1 of 8 diverged); the letters compare the other "
            "variants.");
  EXPECT_NE(analysis.summary.variants[2].letters, "");
  EXPECT_FALSE(analysis.detectable_difference);  // no comparison is made
}

// Differences that involve such a run mean nothing.
TEST(Analysis, ARunThatDidNotLearnBreaksTheOutcome) {
  Comparison comparison = example_comparison({.num_variants = 3});
  cell_at(comparison, 1, 4).learned_nothing = true;
  const Analysis analysis = analyze(comparison);
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  EXPECT_EQ(all[0].outcome, Outcome::kBroken);
  EXPECT_EQ(all[0].reason, "gelu: seed 5 did not learn");
  EXPECT_NE(all[1].outcome, Outcome::kBroken);
  EXPECT_EQ(overall(all), Overall::kBroken);
}

}  // namespace
}  // namespace sluice::report
