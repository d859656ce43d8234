// Selects the held-out blocks of the training files.
//
// The choice depends only on the hash of a block's text. As a fraction f: the blocks whose hash,
// read as a number in [0, 1), is below f; adding or removing files never moves another block. As a
// count n: the n blocks with the lowest hashes (including all copies of the last one), so an added
// block can displace another. Equal texts have equal hashes, so no text is on both sides. A second
// range of fractions, [f, g), selects the text for tuning; its size does not affect [0, f).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>

#include "base/hash.h"

namespace sluice::data {

// Not the plain XXH3-128 of the text: independent of the hash that selects samples (sample.h).
Hash128 holdout_hash(std::string_view block);

class Holdout {
 public:
  static Holdout none() { return Holdout(); }
  static Holdout fraction(double share) { return between(0, share); }
  // hashes in [begin, end), 0 ≤ begin ≤ end < 1
  static Holdout between(double begin, double end);
  static Holdout up_to(std::optional<Hash128> largest);  // all hashes up to this one; nullopt: none
  bool contains(const Hash128& hash) const {
    return largest_.has_value() && smallest_ <= hash && hash <= *largest_;
  }

 private:
  Hash128 smallest_{};
  std::optional<Hash128> largest_;
};

// Finds the n lowest hashes in one pass.
class LowestHashes {
 public:
  explicit LowestHashes(std::uint64_t count) : count_(count) {}
  void add(const Hash128& hash);
  Holdout holdout() const;

 private:
  std::uint64_t count_;
  std::set<Hash128> lowest_;
};

}  // namespace sluice::data
