// Which blocks of the training files are held out.
//
// The choice looks at nothing but the hash of a block's text. As a fraction f: the blocks whose hash, read as a number in [0, 1), is
// below f; adding or removing files never moves another block. As a count n: the n blocks with the lowest hashes (all copies of the
// last one too), so that a block that is added can push one out. Equal texts always go together, so none is on both sides. A second
// range of fractions, [f, g), gives the text for tuning: its size moves nothing in or out of the first.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>

#include "base/hash.h"

namespace sluice::data {

// The hash that decides. Not the plain XXH3-128 of the text, so that it is independent of the one that selects samples.
Hash128 holdout_hash(std::string_view block);

class Holdout {
 public:
  static Holdout none() { return Holdout(); }
  static Holdout fraction(double share) { return between(0, share); }
  static Holdout between(double begin, double end);      // hashes in [begin, end), 0 ≤ begin ≤ end < 1
  static Holdout up_to(std::optional<Hash128> largest);  // every hash up to this one; nothing: none
  bool contains(const Hash128& hash) const { return largest_.has_value() && smallest_ <= hash && hash <= *largest_; }

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
