#include "stats/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tests/stats/random_table.h"

namespace sluice::stats {
namespace {

using testing::random_table;
using testing::random_values;
using testing::table_of;
using testing::Truth;

const Truth kEight{.effects = {0, -0.01, 0, -0.012, -0.03, -0.05, -0.048, -0.04},
                   .stds = std::vector<double>(8, 0.005),
                   .num_seeds = 8};

void expect_untested(const Summary& summary, const std::string& why) {
  EXPECT_NE(summary.untested.find(why), std::string::npos) << summary.untested;
  EXPECT_EQ(summary.residual_std, std::nullopt);
  for (const VariantSummary& variant : summary.variants) {
    EXPECT_EQ(variant.letters, "");
    if (!variant.difference) continue;
    EXPECT_FALSE(variant.difference->interval);
    EXPECT_FALSE(variant.difference->flip_p || variant.difference->p ||
                 variant.difference->p_holm || variant.difference->paired_p ||
                 variant.difference->paired_p_holm);
  }
}

TEST(Summary, OfACompleteTable) {
  const Summary summary = summarize(random_table(kEight, 1), 0);
  EXPECT_EQ(summary.num_analyzed, 8);
  EXPECT_EQ(summary.blocks.size(), 8);
  EXPECT_EQ(summary.residual_df, 49);
  EXPECT_EQ(summary.untested, "");
  EXPECT_FALSE(summary.is_powerless());
  EXPECT_TRUE(summary.remarks.empty());
  EXPECT_FALSE(summary.variants[0].difference);
  for (const VariantSummary& variant : summary.variants) {
    EXPECT_EQ(variant.num_finished, 8);
    EXPECT_TRUE(variant.analyzed);
    EXPECT_FALSE(variant.letters.empty());
  }
  const Difference& geglu = *summary.variants[5].difference;
  EXPECT_EQ(*geglu.flip_p, 2.0 / 256);
  EXPECT_LT(*geglu.p_holm, 0.001);
  EXPECT_LT(geglu.interval->high, 0);
  EXPECT_EQ(geglu.conclusion, Conclusion::kBetter);
  EXPECT_EQ(geglu.num_better, 8U);
  EXPECT_NEAR(geglu.better_rate->low, 0.6305833524471, 1e-12);
  EXPECT_EQ(geglu.remark, "");
}

// Two names for the same layer.
TEST(Summary, IdenticalVariantsDifferByExactlyZero) {
  const Truth truth{.effects = {0, 0, 0.01}, .stds = std::vector<double>(3, 0.005)};
  std::vector<double> values = random_values(truth, 2);
  std::copy_n(values.begin(), 5, values.begin() + 5);
  const Summary summary = summarize(table_of(3, values), 0);
  const Difference& difference = *summary.variants[1].difference;
  EXPECT_EQ(difference.value, 0);
  EXPECT_EQ(difference.flip_p, 1.0);
  EXPECT_EQ(difference.p, 1.0);
  EXPECT_EQ(difference.p_holm, 1.0);
  EXPECT_EQ(difference.paired_p, 1.0);
  EXPECT_EQ(difference.paired_p_holm, 1.0);
  EXPECT_EQ(difference.remark, "identical results in every seed");
  EXPECT_EQ(summary.variants[0].letters, summary.variants[1].letters);
}

TEST(Summary, TwoIdenticalVariantsAlone) {
  const Summary summary = summarize(table_of(2, {1.7, 1.8, 1.9, 1.7, 1.8, 1.9}), 1);
  const Difference& difference = *summary.variants[0].difference;
  EXPECT_EQ(difference.value, 0);
  EXPECT_EQ(difference.interval->low, 0);
  EXPECT_EQ(difference.interval->high, 0);
  EXPECT_EQ(difference.p_holm, 1.0);
  EXPECT_EQ(difference.paired_p_holm, 1.0);
  EXPECT_EQ(summary.variants[0].letters, "a");
  EXPECT_EQ(summary.variants[1].letters, "a");
}

TEST(Summary, NoSpreadGivesAPOfOne) {
  const Summary summary = summarize(table_of(2, {1.7, 1.8, 1.9, 1.6, 1.7, 1.8}), 0);
  const Difference& difference = *summary.variants[1].difference;
  EXPECT_NEAR(difference.value, -0.1, 1e-15);
  EXPECT_FALSE(difference.interval);
  EXPECT_EQ(difference.p_holm, 1.0);
  EXPECT_EQ(difference.paired_p_holm, 1.0);
  EXPECT_EQ(difference.remark, "the same difference in every seed: zero variance, p = 1");
  EXPECT_EQ(difference.flip_p, 1.0);
  ASSERT_EQ(summary.remarks.size(), 1);
  EXPECT_EQ(summary.remarks[0], "zero residual variance, so every p-value is 1");
}

TEST(Summary, OneSeedIsNotTested) {
  Truth truth = kEight;
  truth.num_seeds = 1;
  const Summary summary = summarize(random_table(truth, 3), 0);
  expect_untested(summary, "one seed");
  EXPECT_FALSE(summary.variants[3].std);
  EXPECT_TRUE(summary.variants[3].mean);
  EXPECT_NEAR(summary.variants[3].difference->value,
              *summary.variants[3].mean - *summary.variants[0].mean, 1e-15);
}

// The others are analyzed as if the broken variant were not part of the comparison.
TEST(Summary, ABrokenVariantGetsNoVerdict) {
  std::vector<double> values = random_values(kEight, 4);
  Table table = table_of(8, values);
  table.set_broken(7, 2);
  const Summary summary = summarize(table, 0);
  const VariantSummary& broken = summary.variants[7];
  EXPECT_FALSE(broken.analyzed);
  EXPECT_EQ(broken.remark, "1 of 8 seeds diverged or failed: no verdict");
  EXPECT_FALSE(broken.difference);
  EXPECT_EQ(broken.letters, "");
  EXPECT_EQ(broken.num_finished, 7);
  EXPECT_TRUE(broken.mean && broken.std);
  EXPECT_EQ(summary.blocks.size(), 8);
  values.resize(7 * 8);
  const Summary without = summarize(table_of(7, values), 0);
  EXPECT_EQ(summary.residual_std, without.residual_std);
  for (std::size_t i = 1; i < 7; ++i) {
    EXPECT_EQ(summary.variants[i].difference->p_holm, without.variants[i].difference->p_holm);
    EXPECT_EQ(summary.variants[i].difference->interval->low,
              without.variants[i].difference->interval->low);
    EXPECT_EQ(summary.variants[i].letters, without.variants[i].letters);
  }
}

TEST(Summary, ABrokenBaselineLeavesLettersOnly) {
  Table table = random_table(kEight, 5);
  table.set_broken(0, 0);
  const Summary summary = summarize(table, 0);
  for (const VariantSummary& variant : summary.variants) EXPECT_FALSE(variant.difference);
  EXPECT_EQ(summary.variants[0].letters, "");
  EXPECT_NE(summary.variants[1].letters, "");
  ASSERT_EQ(summary.remarks.size(), 1);
  EXPECT_EQ(summary.remarks[0],
            "no differences; baseline: 1 of 8 seeds diverged or failed: no verdict");
}

void expect_same_verdicts(const Summary& a, const Summary& b, std::size_t num_variants) {
  EXPECT_EQ(a.residual_std, b.residual_std);
  EXPECT_EQ(a.num_comparisons, b.num_comparisons);
  for (std::size_t i = 0; i < num_variants; ++i) {
    const VariantSummary &ours = a.variants[i], &theirs = b.variants[i];
    EXPECT_EQ(ours.analyzed, theirs.analyzed) << i;
    EXPECT_EQ(ours.letters, theirs.letters) << i;
    ASSERT_EQ(ours.difference.has_value(), theirs.difference.has_value()) << i;
    if (!ours.difference) continue;
    EXPECT_EQ(ours.difference->value, theirs.difference->value) << i;
    EXPECT_EQ(ours.difference->flip_p, theirs.difference->flip_p) << i;
    EXPECT_EQ(ours.difference->p_holm, theirs.difference->p_holm) << i;
    EXPECT_EQ(ours.difference->paired_p_holm, theirs.difference->paired_p_holm) << i;
    EXPECT_EQ(ours.difference->interval->low, theirs.difference->interval->low) << i;
  }
}

// Tests are made on all seeds only; differences before are descriptive.
TEST(Summary, UnfinishedSeedsGiveNoVerdict) {
  const std::vector<double> values = random_values(kEight, 6);
  Table table(8, 8);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i % 8 < 6 || i / 8 < 1) table.set(i / 8, i % 8, values[i]);
  const Summary summary = summarize(table, 0);
  expect_untested(summary, "preliminary, 14 runs are not finished; tests are made on all 8 seeds");
  EXPECT_EQ(summary.blocks.size(), 6U);
  EXPECT_TRUE(summary.variants[3].difference);
  EXPECT_EQ(summary.variants[3].num_waiting, 2);
  EXPECT_TRUE(summary.remarks.empty());
}

// Two variants have finished all seeds, six have not: testing the two would be an early look.
TEST(Summary, FinishedVariantsWaitForTheOthers) {
  const std::vector<double> values = random_values(kEight, 6);
  Table table(8, 8);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i % 8 < 3 || i / 8 < 2) table.set(i / 8, i % 8, values[i]);
  const Summary summary = summarize(table, 1);
  expect_untested(summary,
                  "preliminary, 30 runs are not finished; tests are made on all 8 seeds of "
                  "all variants");
  EXPECT_EQ(summary.blocks.size(), 3U);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 8 < 7) table.set(i / 8, i % 8, values[i]);
  const Summary all_but_one = summarize(table, 1);
  expect_untested(all_but_one, "preliminary, 5 runs are not finished");
  EXPECT_EQ(all_but_one.blocks.size(), 8U);
  EXPECT_TRUE(all_but_one.variants[2].difference);
  EXPECT_EQ(all_but_one.variants[7].remark, "pending: 3 of 8 seeds finished");
  EXPECT_FALSE(all_but_one.variants[7].difference);
}

// A variant added to a finished comparison: the differences of the others stay, without a verdict.
TEST(Summary, AVariantAddedLaterHoldsBackTheTests) {
  const std::vector<double> values = random_values(kEight, 6);
  const Summary before = summarize(table_of(7, {values.begin(), values.begin() + 56}), 0);
  EXPECT_EQ(before.untested, "");
  for (std::size_t num_done = 0; num_done <= 8; ++num_done) {
    Table table(8, 8);
    for (std::size_t i = 0; i < 56 + num_done; ++i) table.set(i / 8, i % 8, values[i]);
    const Summary summary = summarize(table, 0);
    if (num_done == 8) {
      EXPECT_EQ(summary.untested, "");
      EXPECT_EQ(summary.num_analyzed, 8);
      EXPECT_EQ(summary.num_comparisons, 7);
      continue;
    }
    expect_untested(summary, "; tests are made on all 8 seeds of all variants");
    EXPECT_EQ(summary.blocks.size(), 8);
    for (std::size_t i = 1; i < 7; ++i)
      EXPECT_EQ(summary.variants[i].difference->value, before.variants[i].difference->value);
    EXPECT_FALSE(summary.variants[7].analyzed);
    EXPECT_FALSE(summary.variants[7].difference);
    EXPECT_EQ(summary.variants[7].remark,
              num_done == 0 ? "no seed has finished yet"
                            : "pending: " + std::to_string(num_done) + " of 8 seeds finished");
    EXPECT_EQ(summary.variants[7].mean.has_value(), num_done > 0);
  }
}

TEST(Summary, APendingBaselineHoldsBackTheLetters) {
  const std::vector<double> values = random_values(kEight, 6);
  Table table(8, 8);
  for (std::size_t i = 7; i < values.size(); ++i) table.set(i / 8, i % 8, values[i]);
  const Summary summary = summarize(table, 0);
  expect_untested(summary, "preliminary, 7 runs are not finished");
  EXPECT_EQ(summary.num_comparisons, 0);
  EXPECT_EQ(summary.variants[0].remark, "pending: 1 of 8 seeds finished");
  for (const VariantSummary& variant : summary.variants) EXPECT_FALSE(variant.difference);
  EXPECT_EQ(summary.remarks[0], "no differences; baseline: pending: 1 of 8 seeds finished");
}

// A variant with a diverged run does not hold back the tests, whatever its other seeds; a pending
// one does.
TEST(Summary, BrokenAndPendingVariantsTogether) {
  const std::vector<double> values = random_values(kEight, 6);
  Table table(8, 8);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i / 8 != 6 && i < 58) table.set(i / 8, i % 8, values[i]);
  table.set_broken(6, 2);
  const Summary pending = summarize(table, 0);
  expect_untested(pending, "preliminary, 13 runs are not finished");
  EXPECT_EQ(pending.variants[6].remark, "1 of 8 seeds diverged or failed: no verdict");
  EXPECT_EQ(pending.variants[7].remark, "pending: 2 of 8 seeds finished");
  for (std::size_t j = 0; j < 8; ++j) table.set(7, j, values[56 + j]);
  const Summary summary = summarize(table, 0);
  EXPECT_EQ(summary.remarks, std::vector<std::string>{"preliminary: 7 runs are not finished"});
  std::vector<double> others(values.begin(), values.begin() + 48);
  others.insert(others.end(), values.begin() + 56, values.end());
  expect_same_verdicts(summary, summarize(table_of(7, others), 0), 6);
}

TEST(Summary, TooLittleToTest) {
  Table one_block(2, 3);
  one_block.set(0, 0, 1.0);
  one_block.set(0, 1, 1.1);
  one_block.set(1, 1, 1.2);
  one_block.set(1, 2, 1.3);
  expect_untested(
      summarize(one_block, 0),
      "preliminary, 2 runs are not finished; tests are made on all 3 seeds of all variants");
  EXPECT_NEAR(summarize(one_block, 0).variants[1].difference->value, 0.1, 1e-15);
  Table no_block(2, 2);
  no_block.set(0, 0, 1.0);
  no_block.set(1, 1, 1.2);
  expect_untested(summarize(no_block, 0), "preliminary, 2 runs are not finished");
  EXPECT_FALSE(summarize(no_block, 0).variants[1].difference);
  expect_untested(summarize(table_of(1, {1, 2, 3}), 0), "one variant");
  Table broken = table_of(2, {1, 2, 3, 4});
  broken.set_broken(1, 0);
  expect_untested(summarize(broken, 0),
                  "fewer than two variants have a finished run and no diverged or failed one");
  const Summary empty = summarize(Table(3, 4), 0);
  expect_untested(empty, "fewer than two variants have a finished run");
  EXPECT_EQ(empty.untested, "fewer than two variants have a finished run");
}

// The order of variants and seeds carries no meaning.
TEST(Summary, PermutationsChangeNothing) {
  for (std::uint64_t trial = 0; trial < 20; ++trial) {
    const std::uint64_t key = random_key(trial, "permutation");
    const std::vector<double> values = random_values(kEight, key);
    std::vector<std::size_t> variants(8), seeds(8);
    std::iota(variants.begin(), variants.end(), std::size_t{0});
    std::iota(seeds.begin(), seeds.end(), std::size_t{0});
    for (std::size_t i = 8; i > 1; --i)
      std::swap(variants[i - 1], variants[random_below(key, 5000 + i, i)]);
    for (std::size_t j = 8; j > 1; --j)
      std::swap(seeds[j - 1], seeds[random_below(key, 6000 + j, j)]);
    Table moved(8, 8);
    for (std::size_t i = 0; i < 8; ++i)
      for (std::size_t j = 0; j < 8; ++j) moved.set(i, j, values[variants[i] * 8 + seeds[j]]);
    const std::size_t baseline =
        static_cast<std::size_t>(std::find(variants.begin(), variants.end(), 0) - variants.begin());
    const Summary a = summarize(table_of(8, values), 0), b = summarize(moved, baseline);
    EXPECT_NEAR(*a.residual_std, *b.residual_std, 1e-15);
    for (std::size_t i = 0; i < 8; ++i) {
      const VariantSummary &before = a.variants[variants[i]], &after = b.variants[i];
      EXPECT_EQ(before.letters, after.letters);
      EXPECT_NEAR(*before.mean, *after.mean, 1e-14);
      EXPECT_NEAR(*before.std, *after.std, 1e-14);
      ASSERT_EQ(before.difference.has_value(), after.difference.has_value());
      if (!before.difference) continue;
      EXPECT_NEAR(before.difference->value, after.difference->value, 1e-14);
      EXPECT_NEAR(before.difference->interval->low, after.difference->interval->low, 1e-13);
      EXPECT_EQ(*before.difference->flip_p, *after.difference->flip_p);
      EXPECT_NEAR(*before.difference->p_holm, *after.difference->p_holm, 1e-9);
      EXPECT_NEAR(*before.difference->paired_p_holm, *after.difference->paired_p_holm, 1e-9);
    }
  }
}

TEST(Summary, LettersStartAtTheLowestMean) {
  const Summary summary = summarize(
      random_table({.effects = {0.1, 0, 0.2}, .stds = {0.001, 0.001, 0.001}, .num_seeds = 8}, 7),
      0);
  EXPECT_EQ(summary.variants[1].letters, "a");
  EXPECT_EQ(summary.variants[0].letters, "b");
  EXPECT_EQ(summary.variants[2].letters, "c");
}

TEST(Summary, RejectsInvalidArguments) {
  const Table table = random_table(kEight, 8);
  EXPECT_THROW(summarize(table, 8), InvariantError);
  EXPECT_THROW(summarize(table, 0, {.level = 0}), InvariantError);
  EXPECT_THROW(summarize(table, 0, {.level = 1}), InvariantError);
  EXPECT_THROW(summarize(table, 0, {.looks = {4, 6}}), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
