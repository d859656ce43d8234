#include "cluster/slots.h"

#include <bit>

#include "base/error.h"

namespace sluice::cluster {

SlotRange slots_of(int rank, int num_ranks, std::int64_t num_slots) {
  invariant(rank >= 0 && rank < num_ranks, "slots_of: a rank of the job");
  return {num_slots * rank / num_ranks, num_slots * (rank + 1) / num_ranks};
}

std::int64_t split_of(const SlotRange& node) {
  invariant(node.size() > 1, "a node that is split has two slots");
  return node.begin +
         static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(node.size() - 1)));
}

bool is_node(const SlotRange& range, std::int64_t num_slots) {
  if (range.begin < 0 || range.size() < 1 || range.end > num_slots) return false;
  SlotRange node{0, num_slots};
  while (node != range) {
    if (node.size() == 1) return false;
    const std::int64_t split = split_of(node);
    if (range.begin < split && range.end > split) return false;
    (range.end <= split ? node.end : node.begin) = split;
  }
  return true;
}

int SlotSums::append(const SlotRange& node) {
  invariant(is_node(node, num_slots_), "SlotSums: a node of the tree");
  invariant(open_.empty() || open_.back().end == node.begin, "SlotSums: nodes are consecutive");
  open_.push_back(node);
  int merges = 0;
  while (open_.size() > 1) {
    const SlotRange &left = open_[open_.size() - 2], &right = open_.back();
    const SlotRange both{left.begin, right.end};
    if (!is_node(both, num_slots_) || split_of(both) != right.begin) break;
    open_.pop_back();
    open_.back() = both;
    ++merges;
  }
  return merges;
}

std::vector<SlotRange> nodes_of(const SlotRange& slots, std::int64_t num_slots) {
  SlotSums sums(num_slots);
  for (std::int64_t slot = slots.begin; slot < slots.end; ++slot) sums.append({slot, slot + 1});
  return sums.open();
}

}  // namespace sluice::cluster
