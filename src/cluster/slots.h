// The order in which the gradients of a step are added, the same for any number of processes.
//
// A step has a fixed number of slots: its micro-batches. The gradient of each slot starts at zero.
// Slots are the leaves of a binary tree: a node of more than one slot is split after the largest
// power of two smaller than its length, and its sum is that of the left part plus that of the right
// part. (This is the order of pairwise summation: Higham 2002, Accuracy and Stability of Numerical
// Algorithms, section 4.2; its rounding error grows with log2 of the number of slots.) A process
// adds the slots that it computes as far as the tree allows, and the process that owns a part of
// the parameters adds what it receives, so the additions are those of one process.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::cluster {

// Slots begin to end - 1.
struct SlotRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

// The slots of one process: consecutive ones, and all processes differ by at most one slot. Empty
// if there are more processes than slots.
SlotRange slots_of(int rank, int num_ranks, std::int64_t num_slots);

// Where a node is split. `node` has at least two slots.
std::int64_t split_of(const SlotRange& node);
// Whether the tree of `num_slots` has this node.
bool is_node(const SlotRange& range, std::int64_t num_slots);

// Adds nodes from left to right. The caller keeps one sum per open node, in the same order.
class SlotSums {
 public:
  explicit SlotSums(std::int64_t num_slots) : num_slots_(num_slots) {}

  // Appends the sum of `node`, which begins where the last one ends. Returns how often the last
  // two open nodes must then be added, each time the right one to the left one.
  int append(const SlotRange& node);

  const std::vector<SlotRange>& open() const { return open_; }
  bool is_complete() const { return open_.size() == 1 && open_[0] == SlotRange{0, num_slots_}; }

 private:
  std::int64_t num_slots_;
  std::vector<SlotRange> open_;
};

// The nodes that a process has after adding its slots, from left to right.
std::vector<SlotRange> nodes_of(const SlotRange& slots, std::int64_t num_slots);

}  // namespace sluice::cluster
