// Byte-pair encoding of a sequence of symbols (Sennrich et al. 2016).
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::text {

class PairRanks {
 public:
  struct Merge {
    std::uint32_t rank = 0;
    std::int32_t merged = 0;
  };
  explicit PairRanks(std::size_t num_merges);
  // Of equal pairs, the last one counts.
  void set(std::int32_t left, std::int32_t right, Merge merge);
  const Merge* find(std::int32_t left, std::int32_t right) const;  // null if there is none

 private:
  struct Slot {
    std::uint64_t pair = kFree;
    Merge merge;
  };
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  std::size_t slot_of(std::uint64_t pair) const;

  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
};

// Merges the pair with the lowest rank, leftmost first, until no pair has a rank. O(n log n).
void merge_pairs(const PairRanks& ranks, std::vector<std::int32_t>& symbols);

}  // namespace sluice::text
