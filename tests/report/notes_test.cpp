// The headline and the notes of a comparison.
#include "report/analysis.h"

#include <gtest/gtest.h>

#include "base/text_format.h"
#include "report/falling.h"
#include "report/published.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

TEST(Notes, TheHeadlineStatesItsConditions) {
  Comparison comparison = example_comparison({.num_variants = 3});
  EXPECT_EQ(conditions(comparison, analyze(comparison))
                .find("After 2,400 steps; learning rate tuned per variant over 1e-3, 3e-3 and "
                      "1e-2; curves still falling (by 0.1"),
            0U);
  EXPECT_NE(headline(comparison, analyze(comparison)).find("over the last quarter of the steps)."),
            std::string::npos);
  comparison.tuning_note.clear();
  for (CellResult& cell : comparison.cells) {
    cell.held_out.clear();
    const double end = cell.training.back().log_perplexity;
    for (CurvePoint& point : cell.training)
      point.log_perplexity = end + (point.step % 80 == 0 ? 0.01 : -0.01);
  }
  const std::string flat =
      "; curves flat at the end (decrease below 0.01 nats over the last quarter of the steps).";
  EXPECT_EQ(conditions(comparison, analyze(comparison)),
            cat("After 2,400 steps; the same learning rate for all variants, not tuned", flat));
  for (CellResult& cell : comparison.cells) cell.training.clear();
  cell_at(comparison, 1, 0).steps = 3000;
  EXPECT_EQ(conditions(comparison, analyze(comparison)),
            "After 2,400 to 3,000 steps; the same learning rate for all variants, not tuned.");
  for (CellResult& cell : comparison.cells) break_cell(cell, CellState::kWaiting, "");
  EXPECT_EQ(conditions(comparison, analyze(comparison)), "");
}

// By hand: from 4.00 at three quarters, interpolated between 4.10 and 3.90, to 3.80.
TEST(Notes, FinalDecreaseOfTheCurves) {
  Comparison comparison = example_comparison({.num_variants = 1, .num_seeds = 1});
  CellResult& cell = comparison.cells[0];
  cell.training.clear();
  cell.held_out = {{0, 8.0, 0, 100},
                   {100, 4.2, 0, 100},
                   {140, 4.1, 0, 100},
                   {160, 3.9, 0, 100},
                   {200, 3.8, 0, 100}};
  EXPECT_NEAR(final_decrease(analyze(comparison), 0).value(), 0.2, 1e-12);
  cell.held_out.back().num_tokens = 400;  // evaluated on more text than the others
  EXPECT_FALSE(final_decrease(analyze(comparison), 0).has_value());
  cell.held_out = {{0, 8.0, 0, 100}, {200, 3.8, 0, 100}};  // no value in between
  EXPECT_FALSE(final_decrease(analyze(comparison), 0).has_value());
  for (std::int64_t step = 1; step <= 100; ++step)
    cell.training.push_back({step, step > 75 ? 3.5 : 3.75, 0, 0});
  EXPECT_NEAR(final_decrease(analyze(comparison), 0).value(), 0.25, 1e-12);
}

TEST(Notes, RunsThatDidNotLearnAreListed) {
  Comparison comparison = example_comparison({.num_variants = 3});
  EXPECT_FALSE(has_note(comparison, "did not learn"));
  cell_at(comparison, 1, 1).learned_nothing = cell_at(comparison, 1, 2).learned_nothing = true;
  cell_at(comparison, 0, 1).learned_nothing = false;
  const Analysis analysis = analyze(comparison);
  EXPECT_NE(verdict(comparison, analysis).find(" Runs that did not learn: gelu (seeds 2 and 3)."),
            std::string::npos);
  EXPECT_TRUE(has_note(comparison, "or unchanged since the start): gelu (seeds 2 and 3)."));
  comparison.tuning[1].learned_nothing = true;  // chosen for relu
  EXPECT_TRUE(has_note(comparison,
                       "Variants for which every candidate of compare.tune had a run that did not "
                       "learn: relu."));
}

TEST(Notes, NoRunHasFinishedYet) {
  Comparison comparison = example_comparison({});
  for (CellResult& cell : comparison.cells) cell = {.settings = cell.settings, .seed = cell.seed};
  const Analysis analysis = analyze(comparison);
  EXPECT_FALSE(analysis.is_tested());
  EXPECT_EQ(status_of(comparison, analysis, 0), "8 of 8 waiting");
  EXPECT_EQ(headline(comparison, analysis).find("No verdict: "), 0U);
}

TEST(Notes, TwoNamesOfOneLayerHaveIdenticalResults) {
  Comparison comparison = example_comparison({.num_variants = 2});
  for (std::size_t s = 0; s < 8; ++s) {
    CellResult copy = cell_at(comparison, 0, s);
    copy.settings = comparison.variants[1].settings;
    cell_at(comparison, 1, s) = copy;
  }
  const Analysis analysis = analyze(comparison);
  ASSERT_TRUE(analysis.summary.variants[1].difference);
  EXPECT_EQ(analysis.summary.variants[1].difference->value, 0);
  EXPECT_EQ(analysis.summary.variants[1].difference->p_holm, 1);
  EXPECT_EQ(verdict_of(analysis, 1), Verdict::kNotSignificant);
  EXPECT_TRUE(has_note(comparison, "gelu and relu: identical results in every seed."));
}

TEST(Notes, StatesWhatIsEqual) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "Widths are matched, so equal steps mean equal FLOPs"));
  Comparison wide = comparison;  // equal widths, different from the reference
  for (Variant& variant : wide.variants) variant.sizes.d_ff_mismatch = 0.25;
  EXPECT_TRUE(has_note(wide,
                       "Equal steps mean equal FLOPs: training FLOPs per token are the same, "
                       "parameters of the feed-forward layer differ by at most 25.00 %"));
  comparison.variants[3].sizes.flops_per_token *= 1.125;
  EXPECT_FALSE(has_note(comparison, "equal steps mean equal FLOPs"));
  EXPECT_TRUE(has_note(comparison, "takes 12.5 % more FLOPs than"));
  comparison.equalize = Equalize::kTime;
  EXPECT_TRUE(has_note(comparison, "Equal training time"));
}

// Before the first run has finished, only the sizes are known.
TEST(Notes, ComparesFlopsPerTokenBeforeAnyRunHasFinished) {
  Comparison comparison = example_comparison({});
  for (CellResult& cell : comparison.cells) break_cell(cell, CellState::kWaiting, "");
  EXPECT_TRUE(has_note(comparison, "equal steps mean equal FLOPs"));
  comparison.variants[3].sizes.flops_per_token *= 1.125;
  EXPECT_TRUE(has_note(comparison, "takes 12.5 % more FLOPs per token"));
}

TEST(Notes, ReportsFewHeldOutDocuments) {
  Comparison comparison = example_comparison({});
  ASSERT_GE(comparison.cells[0].documents.size(), 20U);
  EXPECT_FALSE(has_note(comparison, "rough estimate"));
  for (CellResult& cell : comparison.cells) cell.documents.resize(3);
  EXPECT_TRUE(has_note(comparison, "so this standard error is a rough estimate"));
}

// Equal widths, but one variant trains longer or on larger batches.
TEST(Notes, FlopsDependOnStepsAndBatches) {
  for (const bool longer : {true, false}) {
    Comparison comparison = example_comparison({});
    for (std::size_t s = 0; s < 8; ++s) {
      CellResult& cell = cell_at(comparison, 2, s);
      cell.tokens *= 2;
      if (longer) cell.steps *= 2;
    }
    EXPECT_FALSE(has_note(comparison, "equal steps mean equal FLOPs"));
    EXPECT_TRUE(has_note(comparison, "takes 100.0 % more FLOPs than")) << longer;
  }
}

TEST(Notes, StatesWhetherTheLearningRateWasTuned) {
  Comparison comparison = example_comparison({});
  EXPECT_TRUE(has_note(comparison, "on the third split with seeds 101 and 102"));
  comparison.tuning_note.clear();
  EXPECT_TRUE(has_note(comparison, "the same for all variants, not tuned"));
}

TEST(Notes, BitsPerByteAsTheMetric) {
  Comparison comparison = example_comparison({.num_variants = 3});
  const Analysis nats = analyze(comparison);
  comparison.metric = Metric::kBitsPerByte;
  // different tokenizers: documents need not match
  cell_at(comparison, 2, 0).documents.clear();
  const Analysis bits = analyze(comparison);
  EXPECT_NEAR(*bits.summary.variants[1].mean, *nats.summary.variants[1].mean / 3.1, 1e-12);
  EXPECT_TRUE(nats.sample_error[1]);
  EXPECT_FALSE(bits.has_sample_errors());
  EXPECT_FALSE(has_note(comparison, "held-out error"));
  EXPECT_TRUE(has_note(comparison, "variant − baseline in bits per byte"));
  cell_at(comparison, 1, 0).bits_per_byte.reset();
  EXPECT_EQ(status_of(comparison, analyze(comparison), 1), "1 of 8 diverged");
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
