#include "cluster/slots.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace sluice::cluster {
namespace {

// The sum of a node as text, straight from the definition: "((0+1)+2)".
std::string defined(const SlotRange& node) {
  if (node.size() == 1) return std::to_string(node.begin);
  std::int64_t half = 1;
  while (half * 2 < node.size()) half *= 2;
  const std::int64_t split = node.begin + half;
  return "(" + defined({node.begin, split}) + "+" + defined({split, node.end}) + ")";
}

// Sums kept by their owner, as texts.
struct Texts {
  explicit Texts(std::int64_t num_slots) : sums(num_slots) {}
  void append(const SlotRange& node, std::string text) {
    texts.push_back(std::move(text));
    for (int merges = sums.append(node); merges > 0; --merges) {
      std::string right = std::move(texts.back());
      texts.pop_back();
      texts.back() = "(" + texts.back() + "+" + right + ")";
    }
  }
  SlotSums sums;
  std::vector<std::string> texts;
};

// Every process adds its slots, and one adds the results.
std::string by_processes(int num_ranks, std::int64_t num_slots) {
  Texts owner(num_slots);
  for (int rank = 0; rank < num_ranks; ++rank) {
    const SlotRange slots = slots_of(rank, num_ranks, num_slots);
    Texts own(num_slots);
    for (std::int64_t slot = slots.begin; slot < slots.end; ++slot)
      own.append({slot, slot + 1}, std::to_string(slot));
    EXPECT_EQ(own.sums.open(), nodes_of(slots, num_slots));
    for (std::size_t i = 0; i < own.texts.size(); ++i)
      owner.append(own.sums.open()[i], own.texts[i]);
  }
  EXPECT_TRUE(owner.sums.is_complete());
  return owner.texts.empty() ? "" : owner.texts[0];
}

TEST(Slots, TheTreeOfFive) {
  EXPECT_EQ(defined({0, 5}), "(((0+1)+(2+3))+4)");
  EXPECT_EQ(by_processes(1, 5), "(((0+1)+(2+3))+4)");
}

TEST(Slots, AnyNumberOfProcessesAddsInTheSameOrder) {
  for (std::int64_t num_slots = 1; num_slots <= 33; ++num_slots)
    for (int num_ranks = 1; num_ranks <= 35; ++num_ranks)
      EXPECT_EQ(by_processes(num_ranks, num_slots), defined({0, num_slots}))
          << num_ranks << " processes, " << num_slots << " slots";
}

TEST(Slots, AreDividedEvenly) {
  for (std::int64_t num_slots = 1; num_slots <= 20; ++num_slots)
    for (int num_ranks = 1; num_ranks <= 24; ++num_ranks) {
      std::int64_t next = 0;
      for (int rank = 0; rank < num_ranks; ++rank) {
        const SlotRange slots = slots_of(rank, num_ranks, num_slots);
        EXPECT_EQ(slots.begin, next);
        EXPECT_LE(std::abs(slots.size() * num_ranks - num_slots), num_ranks);
        next = slots.end;
      }
      EXPECT_EQ(next, num_slots);
    }
  EXPECT_THROW(slots_of(2, 2, 4), InvariantError);
}

// With as many slots per process as a power of two, each process sends one sum.
TEST(Slots, AlignedProcessesHaveOneSumEach) {
  for (const int num_ranks : {1, 2, 3, 4, 7, 8})
    for (int rank = 0; rank < num_ranks; ++rank)
      EXPECT_EQ(nodes_of(slots_of(rank, num_ranks, 4L * num_ranks), 4L * num_ranks).size(), 1u);
  EXPECT_EQ(nodes_of({0, 3}, 8), (std::vector<SlotRange>{{0, 2}, {2, 3}}));
  EXPECT_EQ(nodes_of({3, 8}, 8), (std::vector<SlotRange>{{3, 4}, {4, 8}}));
}

TEST(Slots, OnlyConsecutiveNodesAreAdded) {
  SlotSums sums(8);
  sums.append({0, 2});
  EXPECT_THROW(sums.append({4, 6}), InvariantError);
  EXPECT_THROW(sums.append({2, 5}), InvariantError);  // no node
  EXPECT_FALSE(sums.is_complete());
  EXPECT_EQ(sums.append({2, 4}), 1);
  EXPECT_EQ(sums.append({4, 8}), 1);
  EXPECT_TRUE(sums.is_complete());
}

}  // namespace
}  // namespace sluice::cluster
