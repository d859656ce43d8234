// summarize() with a plan: few seeds, margins, looks.
#include <gtest/gtest.h>

#include <cmath>

#include "stats/summary.h"
#include "tests/stats/random_table.h"

namespace sluice::stats {
namespace {

using testing::random_table;
using testing::random_values;
using testing::Truth;

const Truth kPlanned{.effects = {0, -0.01, 0, -0.012, -0.03, -0.05, -0.048, -0.04},
                     .stds = std::vector<double>(8, 0.005),
                     .num_seeds = 8};

// The smallest p of five seeds is 2/32.
TEST(Plan, FiveSeedsCannotFindAnything) {
  Truth truth = kPlanned;
  truth.num_seeds = 5;
  const Summary summary = summarize(random_table(truth, 1), 0);
  EXPECT_TRUE(summary.is_powerless());
  EXPECT_EQ(summary.smallest_p, 2.0 / 32);
  for (std::size_t i = 1; i < 8; ++i) {
    EXPECT_EQ(summary.variants[i].difference->conclusion, Conclusion::kUndecided);
    EXPECT_TRUE(std::isinf(summary.variants[i].difference->interval->low));
    EXPECT_EQ(summary.variants[i].letters, "a");
  }
  EXPECT_EQ(summary.variants[5].difference->seeds_to_decide, 6);
}

TEST(Plan, EquivalenceWithinTheMargin) {
  const Truth truth{.effects = {0, 0.001, -0.004, 0.05, 0},
                    .stds = {0.0005, 0.0005, 0.0005, 0.0005, 0.02},
                    .num_seeds = 8};
  const Summary summary = summarize(random_table(truth, 1), 0, {.margin = 0.01});
  EXPECT_EQ(summary.variants[1].difference->conclusion, Conclusion::kEquivalent);
  // significant, but practically the same
  EXPECT_EQ(summary.variants[2].difference->conclusion, Conclusion::kEquivalent);
  EXPECT_LE(*summary.variants[2].difference->flip_p, 0.05);
  EXPECT_EQ(summary.variants[3].difference->conclusion, Conclusion::kWorse);
  EXPECT_EQ(summary.variants[4].difference->conclusion, Conclusion::kUndecided);
  EXPECT_GT(summary.variants[4].difference->seeds_to_decide.value(), 8);
}

// Ten seeds' worth of runs, judged at 6, 8 and 10.
TEST(Plan, LooksAreTheOnlyOccasionsToJudge) {
  Truth truth = kPlanned;
  truth.num_seeds = 10;
  const std::vector<double> values = random_values(truth, 11);
  const Plan plan{.looks = {6, 8, 10}, .spending = Spending::kPocock};
  const std::vector<double> levels = look_levels(plan.looks, plan.spending, 0.05);
  for (std::size_t num_done = 1; num_done <= 10; ++num_done) {
    Table table(8, 10);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (i % 10 < num_done) table.set(i / 10, i % 10, values[i]);
    // a seed that only one variant has finished changes nothing
    if (num_done < 10) table.set(0, num_done, values[num_done]);
    const Summary summary = summarize(table, 0, plan);
    const bool is_look = num_done == 6 || num_done == 8 || num_done == 10;
    EXPECT_EQ(summary.untested.empty(), is_look) << num_done;
    if (!is_look) {
      EXPECT_EQ(summary.variants[1].letters, "");
      EXPECT_FALSE(summary.variants[1].difference->flip_p || summary.variants[1].difference->p);
      EXPECT_NE(summary.untested.find(num_done < 6   ? "the next test is made on 6 seeds"
                                      : num_done < 8 ? "the next test is made on 8 seeds"
                                                     : "the next test is made on 10 seeds"),
                std::string::npos);
      continue;
    }
    EXPECT_EQ(summary.look, (num_done - 6) / 2);
    EXPECT_EQ(summary.test_level, levels[(num_done - 6) / 2]);
    EXPECT_EQ(summary.blocks.size(), num_done);
  }
}

// A variant without results delays a look, one with a diverged run does not.
TEST(Plan, ALookWaitsForEveryIntactVariant) {
  Truth truth = kPlanned;
  truth.num_seeds = 12;
  const std::vector<double> values = random_values(truth, 12);
  const Plan plan{.looks = {8, 12}};
  Table table(8, 12);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 12 < 7 && i % 12 < 8) table.set(i / 12, i % 12, values[i]);
  EXPECT_NE(summarize(table, 0, plan).untested, "");
  table.set_broken(7, 0);
  const Summary summary = summarize(table, 0, plan);
  EXPECT_EQ(summary.untested, "");
  EXPECT_EQ(summary.look, 0U);
  EXPECT_EQ(summary.num_comparisons, 6U);
}

// What an earlier look has found stays found.
TEST(Plan, AFindingOfAnEarlierLookStays) {
  Table table(2, 12);
  for (std::size_t j = 0; j < 12; ++j) {
    const double noise = 0.001 * static_cast<double>(j * j % 7);
    table.set(0, j, 2);
    table.set(1, j, 2 + (j < 8 ? -0.01 - noise : 0.05 + noise));
  }
  const Summary summary = summarize(table, 0, {.looks = {8, 12}, .spending = Spending::kPocock});
  const Difference& difference = *summary.variants[1].difference;
  EXPECT_GT(*difference.flip_p, summary.test_level);
  EXPECT_EQ(difference.found_at_look, 0U);
  EXPECT_EQ(difference.conclusion, Conclusion::kBetter);
}

}  // namespace
}  // namespace sluice::stats
