#include "stats/blocks.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace sluice::stats {
namespace {

// '#' is a finished cell; one line per variant.
Table table_of(const std::vector<std::string>& rows) {
  Table table(rows.size(), rows[0].size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < rows[i].size(); ++j)
      if (rows[i][j] == '#') table.set(i, j, 1.0);
  return table;
}

using Indices = std::vector<std::size_t>;

BlockChoice choose(const std::vector<std::string>& rows, std::size_t baseline = 0) {
  return choose_block(table_of(rows), std::vector<bool>(rows.size(), true), baseline);
}

TEST(Blocks, HasTheMostDegreesOfFreedom) {
  const BlockChoice added = choose({"#####", "#####", "##..."});
  EXPECT_EQ(added.variants, (Indices{0, 1}));
  EXPECT_EQ(added.seeds, (Indices{0, 1, 2, 3, 4}));
  const BlockChoice more_seeds = choose({"###", "##.", "##.", "##."});
  EXPECT_EQ(more_seeds.variants, (Indices{0, 1, 2, 3}));
  EXPECT_EQ(more_seeds.seeds, (Indices{0, 1}));
}

TEST(Blocks, TiesPreferMoreSeedsThenEarlierSeeds) {
  const BlockChoice seeds = choose({"###", "###", "##."});  // two degrees of freedom either way
  EXPECT_EQ(seeds.variants, (Indices{0, 1}));
  EXPECT_EQ(seeds.seeds, (Indices{0, 1, 2}));
  const BlockChoice earlier = choose({"####", "##..", "..##"});
  EXPECT_EQ(earlier.variants, (Indices{0, 1}));
  EXPECT_EQ(earlier.seeds, (Indices{0, 1}));
}

TEST(Blocks, PrefersABlockWithTheBaseline) {
  EXPECT_EQ(choose({"##...", "#####", "#####"}).seeds, (Indices{0, 1}));
  // with one seed there is nothing to test
  EXPECT_EQ(choose({"#....", "#####", "#####"}).variants, (Indices{1, 2}));
}

TEST(Blocks, WithoutATestableBlock) {
  const BlockChoice one_seed = choose({"#..", "#..", ".#."});
  EXPECT_EQ(one_seed.variants, (Indices{0, 1}));
  EXPECT_EQ(one_seed.seeds, (Indices{0}));
  const BlockChoice apart = choose({"#.", ".#"});
  EXPECT_EQ(apart.variants, (Indices{0, 1}));
  EXPECT_TRUE(apart.seeds.empty());
  const Table table = table_of({"##", "##", "##"});
  EXPECT_EQ(choose_block(table, {true, false, true}, 0).variants, (Indices{0, 2}));
  EXPECT_TRUE(choose_block(table, {false, false, false}, 0).variants.empty());
  EXPECT_THROW(choose_block(table, {true}, 0), InvariantError);
}

// Compared with every subset of the variants.
TEST(Blocks, NoOtherBlockHasMoreDegreesOfFreedom) {
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    const std::uint64_t key = random_key(trial, "blocks"), v = 2 + random_below(key, 0, 5),
                        s = 2 + random_below(key, 1, 5);
    std::vector<std::string> rows(v, std::string(s, '.'));
    for (std::uint64_t i = 0; i < v * s; ++i)
      if (random_below(key, 10 + i, 4) > 0) rows[i / s][i % s] = '#';
    std::size_t most = 0, most_with_baseline = 0;
    for (std::uint64_t subset = 1; subset < std::uint64_t{1} << v; ++subset) {
      std::size_t num_variants = 0, num_seeds = 0;
      for (std::size_t j = 0; j < s; ++j) {
        bool all = true;
        for (std::size_t i = 0; i < v; ++i)
          all = all && ((subset >> i & 1) == 0 || rows[i][j] == '#');
        num_seeds += all ? 1 : 0;
      }
      for (std::size_t i = 0; i < v; ++i) num_variants += subset >> i & 1;
      const std::size_t df = num_seeds > 0 ? (num_variants - 1) * (num_seeds - 1) : 0;
      most = std::max(most, df);
      if ((subset & 1) != 0) most_with_baseline = std::max(most_with_baseline, df);
    }
    const BlockChoice block = choose(rows);
    for (const std::size_t i : block.variants)
      for (const std::size_t j : block.seeds) EXPECT_EQ(rows[i][j], '#');
    const std::size_t df =
        block.seeds.empty() ? 0 : (block.variants.size() - 1) * (block.seeds.size() - 1);
    EXPECT_EQ(df, most_with_baseline > 0 ? most_with_baseline : most) << trial;
  }
}

// Forty variants, each with different missing cells.
TEST(Blocks, ManyPatternsAreFast) {
  std::vector<std::string> rows(40, std::string(60, '#'));
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < 60; ++j)
      if (random_below(random_key(i, "many"), j, 3) == 0) rows[i][j] = '.';
  const BlockChoice block = choose(rows);
  EXPECT_GT(block.variants.size(), 1U);
  EXPECT_GT(block.seeds.size(), 1U);
}

}  // namespace
}  // namespace sluice::stats
