// Edges, coarse grids and groups of seeds.
#include "report/tuned_values.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text_format.h"
#include "report/outcome.h"
#include "report/tables.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

// Replaces the tuning of a variant for one group; the second value is chosen.
void tune(Comparison& comparison, std::size_t variant, const std::vector<std::string>& values,
          const std::vector<double>& results, std::uint64_t group = 0, std::size_t chosen = 1) {
  const Settings& settings = comparison.variants[variant].settings;
  std::erase_if(comparison.tuning, [&](const TuningPoint& point) {
    return point.settings == settings && point.group == group;
  });
  for (std::size_t k = 0; k < values.size(); ++k)
    comparison.tuning.push_back({.settings = settings,
                                 .candidate = {{"optimizer.lr", values[k]}},
                                 .group = group,
                                 .log_perplexity = {results[k]},
                                 .chosen = k == chosen});
}

// geglu is below relu by 0.0119 to 0.0121 in every seed.
Comparison close_comparison() {
  Comparison comparison = example_comparison({});
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s)
    cell_at(comparison, 5, s).log_perplexity =
        *cell_at(comparison, 0, s).log_perplexity - 0.012 + (s % 2 == 0 ? 0.0001 : -0.0001);
  return comparison;
}

const std::vector<std::string> kDecades{"1e-4", "1e-3", "1e-2"};

// 0.1 and 0.3 above the middle, one decade away: 0.1 x + 0.2 x^2 has its minimum of -0.0125 at
// x = -1/4.
TEST(TunedValues, TheGainIsTheDepthOfTheParabola) {
  Comparison comparison = close_comparison();
  const Settings& relu = comparison.variants[0].settings;
  tune(comparison, 0, kDecades, {4.1, 4.0, 4.3});
  ASSERT_EQ(tuned_values(comparison, relu, 0).size(), 1U);
  const TunedValue value = tuned_values(comparison, relu, 0).front();
  EXPECT_NEAR(value.gain.value(), 0.0125, 1e-12);
  EXPECT_FALSE(value.at_edge);
  // Unequal steps: 0.1 x + 0.2 x^2 at -1 and 2.
  tune(comparison, 0, {"1e-4", "1e-3", "1e-1"}, {4.1, 4.0, 5.0});
  EXPECT_NEAR(tuned_values(comparison, relu, 0).front().gain.value(), 0.0125, 1e-12);
  // A linear axis if a value is 0.
  tune(comparison, 0, {"0", "1", "2"}, {4.1, 4.0, 4.3});
  EXPECT_NEAR(tuned_values(comparison, relu, 0).front().gain.value(), 0.0125, 1e-12);
  tune(comparison, 0, kDecades, {4.1, 4.0, 4.3}, 0, 0);
  EXPECT_TRUE(tuned_values(comparison, relu, 0).front().at_edge);
  EXPECT_FALSE(tuned_values(comparison, relu, 0).front().gain);
  // Next to a candidate that diverged nothing is known.
  tune(comparison, 0, kDecades, {4.1, 4.0, 4.3});
  comparison.tuning.back().diverged = true;
  EXPECT_FALSE(tuned_values(comparison, relu, 0).front().gain);
  tune(comparison, 0, {"a", "b", "c"}, {4.1, 4.0, 4.3});
  EXPECT_FALSE(tuned_values(comparison, relu, 0).front().at_edge);
  comparison.tuning.clear();
  EXPECT_TRUE(tuned_values(comparison, relu, 0).empty());
}

// With several keys, the others stay as chosen.
TEST(TunedValues, AKeyIsJudgedAlongItsOwnLine) {
  Comparison comparison = example_comparison({});
  const Settings& relu = comparison.variants[0].settings;
  comparison.tuning.clear();
  for (const double x : {-1.0, 0.0, 1.0})
    for (const double y : {0.0, 1.0})
      comparison.tuning.push_back(
          {.settings = relu,
           .candidate = {{"optimizer.lr", cat(10 + x)}, {"model.dropout", cat(y)}},
           .log_perplexity = {4 + 0.2 * x * x + y + 7 * x * y},
           .chosen = x == 0 && y == 0});
  const std::vector<TunedValue> values = tuned_values(comparison, relu, 0);
  ASSERT_EQ(values.size(), 2U);
  EXPECT_FALSE(values[0].at_edge);
  EXPECT_LT(values[0].gain.value(), 0.001);  // symmetric but for the logarithmic axis
  EXPECT_TRUE(values[1].at_edge);
}

TEST(TunedValues, AGridCoarserThanTheDifferenceIsNamed) {
  Comparison comparison = close_comparison();
  const auto doubts = [&] { return coarse_grids(comparison, analyze(comparison), 5); };
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kLower);
  tune(comparison, 0, kDecades, {4.1, 4.0, 4.3});  // 0.0125: could reverse a gain of 0.0119
  ASSERT_EQ(doubts().size(), 1U);
  EXPECT_EQ(doubts().front(),
            "the grid is coarser than the difference: beside optimizer.lr 1e-3, relu could be "
            "better by about 0.0125");
  const Analysis analysis = analyze(comparison);
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  EXPECT_NE(outcome_line(comparison, analysis, all[4]).find("; the grid is coarser than"),
            std::string::npos);
  EXPECT_NE(verdict(comparison, analysis).find("The grid of compare.tune limits the verdict on"),
            std::string::npos);
  EXPECT_TRUE(has_note(comparison, "geglu: the grid is coarser than the difference"));
  tune(comparison, 0, kDecades, {4.05, 4.0, 4.15});  // 0.00625 could not
  EXPECT_TRUE(doubts().empty());
  // A better variant that could be better still stays better.
  tune(comparison, 5, kDecades, {4.1, 4.0, 4.3});
  EXPECT_TRUE(doubts().empty());
  // Against it counts only what the variant may gain if it is worse ...
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s)
    *cell_at(comparison, 5, s).log_perplexity += 0.024;
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kHigher);
  ASSERT_EQ(doubts().size(), 1U);
  EXPECT_NE(doubts().front().find("geglu could be better"), std::string::npos);
  // ... and what either may gain if they are equivalent.
  comparison.margin = 0.02;
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kEquivalent);
  ASSERT_EQ(doubts().size(), 1U);
  // The gain is in nats; the verdict is on bits per byte, 3.1 times smaller in the example.
  comparison.margin.reset();
  comparison.metric = Metric::kBitsPerByte;
  for (std::size_t v : {0, 5})
    for (std::size_t s = 0; s < comparison.seeds.size(); ++s)
      cell_at(comparison, v, s).bits_per_byte = *cell_at(comparison, v, s).log_perplexity / 3.1;
  ASSERT_EQ(verdict_of(analyze(comparison), 5), Verdict::kHigher);
  ASSERT_EQ(doubts().size(), 1U);
  EXPECT_NE(doubts().front().find("by about 0.0040"), std::string::npos) << doubts().front();
}

TEST(TunedValues, EdgesAreNamedInTheVerdict) {
  Comparison comparison = example_comparison({});
  tune(comparison, 0, kDecades, {4.0, 4.1, 4.2}, 0, 0);
  tune(comparison, 5, kDecades, {4.2, 4.1, 4.0}, 0, 2);
  const Analysis analysis = analyze(comparison);
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  EXPECT_EQ(all[4].grid_doubts,
            (std::vector<std::string>{"geglu tuned to the edge of the grid, optimizer.lr 1e-2",
                                      "relu tuned to the edge of the grid, optimizer.lr 1e-4"}));
  EXPECT_EQ(all[0].grid_doubts.size(), 1U);
  EXPECT_TRUE(has_note(comparison,
                       "a better value may lie outside: relu (optimizer.lr 1e-4) and "
                       "geglu (optimizer.lr 1e-2)."));
  for (TuningPoint& point : comparison.tuning) point.candidate[0].second = "word";
  EXPECT_FALSE(has_note(comparison, "at the edge"));
  comparison.tuning.clear();
  EXPECT_FALSE(has_note(comparison, "at the edge"));
}

// Eight groups of two seeds: the values of the tests are the means of the groups.
TEST(TunedValues, GroupsOfSeedsAreComparedByTheirMeans) {
  Comparison comparison = example_comparison({.num_seeds = 16});
  comparison.seed_groups = 8;
  for (std::size_t v = 0; v < 8; ++v)
    for (std::uint64_t group = 0; group < 8; ++group)
      tune(comparison, v, kDecades, {4.1, 4.0, 4.3}, group, group < 5 ? 1 : 2);
  const Analysis analysis = analyze(comparison);
  ASSERT_TRUE(analysis.is_tested());
  EXPECT_EQ(analysis.summary.blocks.size(), 8U);
  EXPECT_EQ(analysis.compared_seeds().size(), 16U);
  Comparison means = example_comparison({.num_seeds = 8});
  for (std::size_t v = 0; v < 8; ++v)
    for (std::size_t group = 0; group < 8; ++group)
      cell_at(means, v, group).log_perplexity =
          (*cell_at(comparison, v, 2 * group).log_perplexity +
           *cell_at(comparison, v, 2 * group + 1).log_perplexity) /
          2;
  const Analysis expected = analyze(means);
  for (std::size_t v = 1; v < 8; ++v) {
    const stats::Difference &ours = *analysis.summary.variants[v].difference,
                            &other = *expected.summary.variants[v].difference;
    EXPECT_DOUBLE_EQ(ours.value, other.value);
    EXPECT_DOUBLE_EQ(*ours.flip_p, *other.flip_p);
    EXPECT_DOUBLE_EQ(ours.interval->low, other.interval->low);
    EXPECT_EQ(ours.num_better, other.num_better);
  }
  EXPECT_EQ(tuned_text(comparison, comparison.variants[0].settings),
            "optimizer.lr 1e-3 (5 of 8 groups), optimizer.lr 1e-2 (3 of 8 groups)");
  EXPECT_EQ(edge_values(comparison, comparison.variants[0].settings),
            (std::vector<std::string>{"optimizer.lr 1e-2 in 3 of 8 groups"}));
  EXPECT_TRUE(has_note(comparison, "Compared are the means of 8 groups of 2 consecutive seeds"));
  const TextTable table = tuning_table(comparison);
  ASSERT_EQ(table.rows.size(), 64U);
  EXPECT_EQ(table.rows[0].front(), "relu, group 1");
  EXPECT_EQ(table.rows[0].back(), "1e-3");
  EXPECT_EQ(table.rows[7].front(), "relu, group 8");
  EXPECT_EQ(table.rows[7].back(), "1e-2");
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  EXPECT_NE(outcome_line(comparison, analysis, all[4]).find(" of 8 groups"), std::string::npos);
  // A group counts once all of its seeds have finished; looks are given in seeds.
  break_cell(cell_at(comparison, 3, 15), CellState::kWaiting, "");
  EXPECT_EQ(analyze(comparison).summary.variants[3].num_waiting, 1U);
  comparison.looks = {14, 16};
  const Analysis look = analyze(comparison);
  EXPECT_TRUE(look.is_tested());
  EXPECT_EQ(look.summary.blocks.size(), 7U);
}

}  // namespace
}  // namespace sluice::report
