#include "report/analysis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "report/falling.h"
#include "report/published.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

bool has_note(const Comparison& comparison, std::string_view part) {
  const Analysis analysis = analyse(comparison);
  const std::vector<std::string> lines = notes(comparison, analysis);
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

TEST(Analysis, OrderOfCellsDoesNotMatter) {
  Comparison comparison = example_comparison({.num_variants = 3});
  const Analysis before = analyse(comparison);
  std::reverse(comparison.cells.begin(), comparison.cells.end());
  const Analysis after = analyse(comparison);
  for (std::size_t v = 0; v < 3; ++v) {
    EXPECT_EQ(before.summary.variants[v].mean, after.summary.variants[v].mean);
    EXPECT_EQ(before.summary.variants[v].letters, after.summary.variants[v].letters);
  }
}

TEST(Analysis, RefusesCellsThatFitNowhere) {
  Comparison stranger = example_comparison({.num_variants = 2});
  stranger.cells[0].seed = 99;
  EXPECT_THROW(analyse(stranger), InvariantError);
  Comparison twice = example_comparison({.num_variants = 2});
  twice.cells.push_back(twice.cells[0]);
  EXPECT_THROW(analyse(twice), InvariantError);
  Comparison no_baseline = example_comparison({.num_variants = 2});
  no_baseline.baseline = 2;
  EXPECT_THROW(analyse(no_baseline), InvariantError);
}

TEST(Analysis, RefusesOtherDocuments) {
  Comparison comparison = example_comparison({.num_variants = 2});
  cell_at(comparison, 1, 0).documents[3].num_targets += 1;
  EXPECT_THROW(analyse(comparison), UserError);
}

TEST(Analysis, VerdictsFollowHolm) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(verdict_of(analysis, 0), Verdict::kNone);   // the baseline
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kLower);  // geglu
  EXPECT_EQ(verdict_of(analysis, 2), Verdict::kSame);   // swish
  EXPECT_NE(headline(comparison, analysis).find("are better than relu (lower held-out log-perplexity)."), std::string::npos);
  Comparison reversed = comparison;
  reversed.baseline = 5;
  EXPECT_EQ(verdict_of(analyse(reversed), 0), Verdict::kHigher);
  EXPECT_NE(headline(reversed, analyse(reversed)).find("worse than geglu (higher)."), std::string::npos);
}

TEST(Analysis, ABrokenCellTakesTheVerdict) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 5, 2), CellStatus::kDiverged, "NaN");
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 5 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
  EXPECT_FALSE(analysis.summary.variants[5].difference);
  EXPECT_EQ(verdict_of(analysis, 6), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison, "geglu: 1 of 5 diverged; no verdict."));
  EXPECT_NE(headline(comparison, analysis).find("geglu has no verdict."), std::string::npos);
}

TEST(Analysis, WaitingIsNoBreakage) {
  Comparison comparison = example_comparison({});
  for (std::size_t seed = 0; seed < 5; ++seed)
    cell_at(comparison, 5, seed) = {.settings = comparison.variants[5].settings, .seed = comparison.seeds[seed]};
  EXPECT_TRUE(has_note(comparison, "geglu: 5 of 5 waiting; no verdict yet."));
  for (Cell& cell : comparison.cells) cell = {.settings = cell.settings, .seed = cell.seed};
  EXPECT_EQ(analyse(comparison).summary.untested, "fewer than two variants with a finished run: nothing to compare yet");
}

TEST(Analysis, WhatIsSaidOfTheLearningRate) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "Learning rate: optimizer.lr was tuned"));
  comparison.tuning_note.clear();
  EXPECT_TRUE(has_note(comparison, "Learning rate: the same for all variants, not tuned."));
  const auto with_key = [&](const std::string& key) {
    Comparison other = comparison;
    for (Variant& variant : other.variants) variant.settings[0].first = key;
    for (Cell& cell : other.cells) cell.settings[0].first = key;
    return other;
  };
  EXPECT_TRUE(has_note(with_key("optimizer.lr"), "Learning rate: it is one of the things that vary, not tuned."));
  EXPECT_TRUE(has_note(with_key("optimizer.type"), "Learning rate: each optimizer's as the configuration has it, not tuned."));
  comparison.tuning_note = "chosen for each variant by itself (optimizer.beta2 from 0.9)";
  EXPECT_TRUE(has_note(comparison, "Learning rate: the same for all variants, not tuned. Other values: chosen for each"));
}

TEST(Analysis, AVerdictThatThePairedTestDoesNotShareIsPointedOut) {
  Comparison comparison = example_comparison({});
  const auto set = [&](std::size_t variant, const std::array<double, 5>& differences) {
    for (std::size_t seed = 0; seed < differences.size(); ++seed)
      cell_at(comparison, variant, seed).log_perplexity = *cell_at(comparison, 0, seed).log_perplexity + differences.at(seed);
  };
  for (std::size_t variant = 1; variant < 8; ++variant) set(variant, {-0.031, -0.029, -0.030, -0.032, -0.028});
  EXPECT_FALSE(has_note(comparison, "Not confirmed by the paired test"));
  set(5, {-0.06, -0.02, 0.005, -0.055, -0.01});  // pooled with calm ones, its spread counts for little
  const Analysis analysis = analyse(comparison);
  ASSERT_EQ(verdict_of(analysis, 5), Verdict::kLower);
  ASSERT_GT(analysis.summary.variants[5].difference->paired_p_holm.value(), 0.05);
  EXPECT_TRUE(has_note(comparison, "which does not assume equal variances: geglu."));
  // Among restless ones a calm variant is not told apart, though its own seeds agree.
  for (std::size_t variant = 1; variant < 8; ++variant) set(variant, {-0.06, 0.09, -0.08, 0.07, -0.05});
  set(5, {-0.0055, -0.0045, -0.0050, -0.0052, -0.0048});
  ASSERT_EQ(verdict_of(analyse(comparison), 5), Verdict::kSame);
  EXPECT_TRUE(has_note(comparison, "Different from the baseline by the paired test alone, which does not assume equal variances: geglu."));
}

TEST(Analysis, AChosenValueAtTheEdgeOfTheGridIsPointedOut) {
  Comparison comparison = example_comparison({});
  EXPECT_FALSE(has_note(comparison, "At the edge"));
  comparison.variants[1].tuned = {{"optimizer.lr", "1e-3"}};
  comparison.variants[5].tuned = {{"optimizer.lr", "1e-2"}};
  EXPECT_TRUE(has_note(comparison, "a better value may lie beyond: gelu (optimizer.lr 1e-3), geglu (optimizer.lr 1e-2)."));
  for (TuningPoint& point : comparison.tuning) point.candidate[0].second = "word";
  EXPECT_FALSE(has_note(comparison, "At the edge"));
  comparison.tuning.clear();
  EXPECT_FALSE(has_note(comparison, "At the edge"));
}

TEST(Analysis, AFinishedCellWithoutAFigureHasDiverged) {
  Comparison comparison = example_comparison({});
  cell_at(comparison, 5, 2).log_perplexity.reset();
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 5), "1 of 5 diverged");
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kNone);
}

TEST(Analysis, ABrokenBaselineLeavesNoDifferences) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 0, 0), CellStatus::kFailed, "killed");
  const Analysis analysis = analyse(comparison);
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone);
}

TEST(Analysis, WaitingCellsMakeItPreliminary) {
  Comparison comparison = example_comparison({});
  for (std::size_t v = 0; v < 8; ++v) break_cell(cell_at(comparison, v, 4), CellStatus::kWaiting, "");
  comparison.cells.erase(comparison.cells.begin() + 39);  // a cell that is not even listed waits as well
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(status_of(comparison, analysis, 3), "1 of 5 waiting");
  EXPECT_EQ(status_of(comparison, analysis, 7), "1 of 5 waiting");
  EXPECT_EQ(analysis.summary.blocks.size(), 4U);
  EXPECT_EQ(verdict_of(analysis, 5), Verdict::kLower);
  EXPECT_TRUE(has_note(comparison, "reliminary"));
}

TEST(Analysis, OneSeedHasNoTests) {
  const Comparison comparison = example_comparison({.num_seeds = 1});
  const Analysis analysis = analyse(comparison);
  EXPECT_FALSE(analysis.is_tested());
  for (std::size_t v = 0; v < 8; ++v) EXPECT_EQ(verdict_of(analysis, v), Verdict::kNone);
  EXPECT_EQ(verdict(comparison, analysis), "Only one seed: no significance tests, variants are not ranked.");
  EXPECT_TRUE(has_note(comparison, "there is no standard deviation, interval or p, and variants are not ranked"));
  EXPECT_FALSE(analysis.detectable_difference);
}

// More seeds are asked for: that is no comparison of one seed.
TEST(Analysis, OneCompleteSeedIsNoVerdictYet) {
  Comparison comparison = example_comparison({});
  for (std::size_t v = 0; v < 8; ++v)
    for (std::size_t s = v == 0 ? 5 : 1; s < 5; ++s) break_cell(cell_at(comparison, v, s), CellStatus::kWaiting, "");
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(headline(comparison, analysis).find("No verdict: fewer than two seeds are finished for every variant (1 of 5)"), 0U);
  EXPECT_FALSE(has_note(comparison, "no standard deviation"));
}

// One seed of a variant that was added later.
TEST(Analysis, AVariantThatHasBegunIsNamedAndChangesNothing) {
  const Comparison finished = example_comparison({.num_variants = 7});
  const Analysis before = analyse(finished);
  Comparison comparison = example_comparison({});
  for (const std::size_t s : {0U, 1U, 3U, 4U}) break_cell(cell_at(comparison, 7, s), CellStatus::kWaiting, "");
  const Analysis analysis = analyse(comparison);
  for (std::size_t v = 0; v < 7; ++v) EXPECT_EQ(verdict_of(analysis, v), verdict_of(before, v)) << v;
  EXPECT_EQ(verdict(comparison, analysis),
            cat(verdict(finished, before), " reglu (seeds 1, 2, 4 and 5) is pending and left out of the verdict."));
  EXPECT_TRUE(has_note(comparison, "Holm's rule for 6 comparisons with the baseline"));
  EXPECT_TRUE(has_note(comparison, "Variants left out until their runs are finished: reglu (seeds 1, 2, 4 and 5)."));
  EXPECT_TRUE(has_note(comparison, "reglu: 4 of 5 waiting; no verdict yet."));
  EXPECT_FALSE(has_note(finished, "left out"));
}

TEST(Analysis, ASeedThatFewHaveFinishedIsNamed) {
  Comparison comparison = example_comparison({.num_variants = 4});
  for (const std::size_t v : {1U, 2U, 3U}) break_cell(cell_at(comparison, v, 4), CellStatus::kWaiting, "");
  EXPECT_TRUE(has_note(comparison, "Seeds left out until every compared variant has finished them: 5 (gelu, swish and glu)."));
  EXPECT_TRUE(has_note(comparison, "model over seeds 1, 2, 3 and 4;"));
}

TEST(Analysis, ABaselineThatHasBegun) {
  Comparison comparison = example_comparison({.num_variants = 4});
  for (std::size_t s = 1; s < 5; ++s) break_cell(cell_at(comparison, 0, s), CellStatus::kWaiting, "");
  const Analysis analysis = analyse(comparison);
  EXPECT_EQ(verdict(comparison, analysis), "No verdict against relu (4 of 5 waiting); the letters compare the other variants.");
  EXPECT_NE(analysis.summary.variants[2].letters, "");
  EXPECT_FALSE(analysis.detectable_difference);  // of no comparison
}

// The last quarter of the example's curves falls by 0.15 nats and more.
TEST(Analysis, TheHeadlineStatesItsConditions) {
  Comparison comparison = example_comparison({.num_variants = 3});
  EXPECT_EQ(conditions(comparison, analyse(comparison))
                .find("After 2,400 steps; learning rate chosen for each variant from 1e-3, 3e-3 and 1e-2; curves still falling (by 0.1"),
            0U);
  EXPECT_NE(headline(comparison, analyse(comparison)).find("over the last quarter of the steps)."), std::string::npos);
  comparison.tuning_note.clear();
  for (Cell& cell : comparison.cells) {
    cell.held_out.clear();
    const double end = cell.training.back().log_perplexity;
    for (CurvePoint& point : cell.training) point.log_perplexity = end + (point.step % 80 == 0 ? 0.01 : -0.01);
  }
  const std::string level = "; curves level at the end (less than 0.01 nats over the last quarter of the steps).";
  EXPECT_EQ(conditions(comparison, analyse(comparison)),
            cat("After 2,400 steps; the same learning rate for all variants, not tuned", level));
  for (Cell& cell : comparison.cells) cell.training.clear();
  cell_at(comparison, 1, 0).steps = 3000;
  EXPECT_EQ(conditions(comparison, analyse(comparison)), "After 2,400 to 3,000 steps; the same learning rate for all variants, not tuned.");
  for (Cell& cell : comparison.cells) break_cell(cell, CellStatus::kWaiting, "");
  EXPECT_EQ(conditions(comparison, analyse(comparison)), "");
}

// By hand: from 4.00 at three quarters, between 4.10 and 3.90, to 3.80.
TEST(Analysis, HowMuchTheCurvesStillFell) {
  Comparison comparison = example_comparison({.num_variants = 1, .num_seeds = 1});
  Cell& cell = comparison.cells[0];
  cell.training.clear();
  cell.held_out = {{0, 8.0, 0, 100}, {100, 4.2, 0, 100}, {140, 4.1, 0, 100}, {160, 3.9, 0, 100}, {200, 3.8, 0, 100}};
  EXPECT_NEAR(fall_at_the_end(analyse(comparison), 0).value(), 0.2, 1e-12);
  cell.held_out.back().num_tokens = 400;  // measured on more text than the others
  EXPECT_FALSE(fall_at_the_end(analyse(comparison), 0).has_value());
  cell.held_out = {{0, 8.0, 0, 100}, {200, 3.8, 0, 100}};  // nothing in between
  EXPECT_FALSE(fall_at_the_end(analyse(comparison), 0).has_value());
  for (std::int64_t step = 1; step <= 100; ++step) cell.training.push_back({step, step > 75 ? 3.5 : 3.75, 0, 0});
  EXPECT_NEAR(fall_at_the_end(analyse(comparison), 0).value(), 0.25, 1e-12);
}

TEST(Analysis, ARunThatHasLearnedNothingIsMarked) {
  Comparison comparison = example_comparison({.num_variants = 3});
  EXPECT_FALSE(has_note(comparison, "learned nothing"));
  cell_at(comparison, 1, 1).learned_nothing = cell_at(comparison, 1, 2).learned_nothing = true;
  cell_at(comparison, 0, 1).learned_nothing = false;
  const Analysis analysis = analyse(comparison);
  EXPECT_NE(verdict(comparison, analysis).find(" Runs that have learned nothing: gelu (seeds 2 and 3)."), std::string::npos);
  EXPECT_TRUE(has_note(comparison, "or where it began: gelu (seeds 2 and 3)."));
  comparison.tuning[1].learned_nothing = true;  // chosen for relu
  EXPECT_TRUE(has_note(comparison, "Every candidate of compare.tune learned nothing in one of its runs: relu."));
}

TEST(Analysis, NothingFinishedYet) {
  Comparison comparison = example_comparison({});
  for (Cell& cell : comparison.cells) cell = {.settings = cell.settings, .seed = cell.seed};
  const Analysis analysis = analyse(comparison);
  EXPECT_FALSE(analysis.is_tested());
  EXPECT_EQ(status_of(comparison, analysis, 0), "5 of 5 waiting");
  EXPECT_EQ(headline(comparison, analysis).find("No verdict: "), 0U);
}

TEST(Analysis, TwoNamesForOneLayer) {
  Comparison comparison = example_comparison({.num_variants = 2});
  for (std::size_t s = 0; s < 5; ++s) {
    Cell copy = cell_at(comparison, 0, s);
    copy.settings = comparison.variants[1].settings;
    cell_at(comparison, 1, s) = copy;
  }
  const Analysis analysis = analyse(comparison);
  ASSERT_TRUE(analysis.summary.variants[1].difference);
  EXPECT_EQ(analysis.summary.variants[1].difference->value, 0);
  EXPECT_EQ(analysis.summary.variants[1].difference->p_holm, 1);
  EXPECT_EQ(verdict_of(analysis, 1), Verdict::kSame);
  EXPECT_TRUE(has_note(comparison, "gelu and relu: the same result in every seed."));
}

TEST(Analysis, SaysWhatWasMadeEqual) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "Widths are matched, so equal steps are equal FLOPs"));
  Comparison wide = comparison;  // all as wide as one another, none as the reference
  for (Variant& variant : wide.variants) variant.d_ff_mismatch = 0.25;
  EXPECT_TRUE(has_note(wide,
                       "Equal steps are equal FLOPs: training FLOPs per token are the same, parameters of the feed-forward layer differ by "
                       "at most 25.00 %"));
  comparison.variants[3].flops_per_token *= 1.125;
  EXPECT_FALSE(has_note(comparison, "equal steps are equal FLOPs"));
  EXPECT_TRUE(has_note(comparison, "takes 12.5 % more"));
  comparison.equalize = "time";
  EXPECT_TRUE(has_note(comparison, "Equal training time"));
}

// Before any run has ended, the sizes are all that is known.
TEST(Analysis, SaysWhatAStepCostsBeforeAnyRunHasEnded) {
  Comparison comparison = example_comparison({});
  for (Cell& cell : comparison.cells) break_cell(cell, CellStatus::kWaiting, "");
  EXPECT_TRUE(has_note(comparison, "equal steps are equal FLOPs"));
  comparison.variants[3].flops_per_token *= 1.125;
  EXPECT_TRUE(has_note(comparison, "spends 12.5 % more per token"));
}

TEST(Analysis, SaysWhenTheHeldOutTextIsFewDocuments) {
  Comparison comparison = example_comparison({});
  ASSERT_GE(comparison.cells[0].documents.size(), 20U);
  EXPECT_FALSE(has_note(comparison, "rough guess"));
  for (Cell& cell : comparison.cells) cell.documents.resize(3);
  EXPECT_TRUE(has_note(comparison, "documents of one size: take it as a rough guess"));
}

// Widths are equal, and yet one variant trains longer, or on larger batches.
TEST(Analysis, StepsAndBatchesAreFlopsToo) {
  for (const bool longer : {true, false}) {
    Comparison comparison = example_comparison({});
    for (std::size_t s = 0; s < 5; ++s) {
      Cell& cell = cell_at(comparison, 2, s);
      cell.tokens *= 2;
      if (longer) cell.steps *= 2;
    }
    EXPECT_FALSE(has_note(comparison, "equal steps are equal FLOPs"));
    EXPECT_TRUE(has_note(comparison, "takes 100.0 % more")) << longer;
  }
}

TEST(Analysis, SaysWhetherTheLearningRateWasTuned) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "on the third split with seeds 101 and 102"));
  comparison.tuning_note.clear();
  EXPECT_TRUE(has_note(comparison, "the same for all variants, not tuned"));
}

TEST(Analysis, BitsPerByteWhereThatIsTheMetric) {
  Comparison comparison = example_comparison({.num_variants = 3});
  const Analysis nats = analyse(comparison);
  comparison.metric = "bits_per_byte";
  cell_at(comparison, 2, 0).documents.clear();  // other tokens: documents do not match, and need not
  const Analysis bits = analyse(comparison);
  EXPECT_NEAR(*bits.summary.variants[1].mean, *nats.summary.variants[1].mean / 3.1, 1e-12);
  EXPECT_TRUE(nats.sample_error[1]);
  EXPECT_FALSE(bits.has_sample_errors());
  EXPECT_FALSE(has_note(comparison, "held-out error"));
  EXPECT_TRUE(has_note(comparison, "variant − baseline in bits per byte"));
  cell_at(comparison, 1, 0).bits_per_byte.reset();
  EXPECT_EQ(status_of(comparison, analyse(comparison), 1), "1 of 5 diverged");
}

TEST(Published, OnlyForThePapersObjectiveAndLayers) {
  Comparison comparison = example_comparison({.num_variants = 9});
  ASSERT_NE(published_result(comparison, comparison.variants[5]), nullptr);
  EXPECT_EQ(published_result(comparison, comparison.variants[5])->mean, 1.942);
  EXPECT_EQ(published_result(comparison, comparison.variants[8]), nullptr);
  EXPECT_EQ(published_result(comparison, {.settings = {{"optimizer.lr", "relu"}}}), nullptr);
  comparison.objective = "causal_lm";
  EXPECT_EQ(published_result(comparison, comparison.variants[5]), nullptr);
}

}  // namespace
}  // namespace sluice::report
