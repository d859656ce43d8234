#include "text/bpe_merger.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::text {
namespace {

// Scans the whole sequence for every merge.
std::vector<std::int32_t> merged_slowly(const PairRanks& ranks, std::vector<std::int32_t> symbols) {
  while (true) {
    std::ptrdiff_t best = -1;
    std::uint32_t best_rank = ~0U;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto* merge = ranks.find(symbols[i], symbols[i + 1]);
      if (merge == nullptr || merge->rank >= best_rank) continue;
      best_rank = merge->rank;
      best = static_cast<std::ptrdiff_t>(i);
    }
    if (best < 0) return symbols;
    const auto at = symbols.begin() + best;
    *at = ranks.find(*at, *(at + 1))->merged;
    symbols.erase(at + 1);
  }
}

TEST(MergePairs, EqualsScanningForEveryMerge) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 60; ++round) {
    const auto num_merges = static_cast<std::uint32_t>(1 + random() % 40);
    PairRanks ranks(num_merges);
    for (std::uint32_t rank = 0; rank < num_merges; ++rank) {
      const auto known = static_cast<std::int32_t>(3 + rank);  // three characters, earlier results
      const auto left = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(known)),
                 right = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(known));
      if (ranks.find(left, right) == nullptr) ranks.set(left, right, {rank, known});
    }
    for (const std::size_t size : {0, 1, 2, 5, 24, 25, 300}) {
      std::vector<std::int32_t> symbols(size);
      for (auto& symbol : symbols) symbol = static_cast<std::int32_t>(random() % 3);
      const auto expected = merged_slowly(ranks, symbols);
      merge_pairs(ranks, symbols);
      EXPECT_EQ(symbols, expected) << "round " << round << ", size " << size;
    }
  }
}

TEST(PairRanks, FindsOnlyWhatWasSet) {
  PairRanks ranks(3);
  ranks.set(0, 1, {7, 9});
  ranks.set(1, 0, {8, 10});
  ranks.set(0, 1, {5, 11});
  ASSERT_NE(ranks.find(0, 1), nullptr);
  EXPECT_EQ(ranks.find(0, 1)->rank, 5U);
  EXPECT_EQ(ranks.find(0, 1)->merged, 11);
  EXPECT_EQ(ranks.find(1, 0)->merged, 10);
  EXPECT_EQ(ranks.find(1, 1), nullptr);
}

}  // namespace
}  // namespace sluice::text
