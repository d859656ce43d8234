#include "data/holdout.h"

#include <cmath>

#include "base/error.h"

namespace sluice::data {

Hash128 holdout_hash(std::string_view block) {
  return Hasher().update("holdout").update(block).digest();
}

Holdout Holdout::between(double begin, double end) {
  invariant(begin >= 0 && begin <= end && end < 1, "shares must be in [0, 1)");
  // floor(share · 2^64) in the high half; the low half is below the precision of a double.
  const auto bound_of = [](double share) {
    return static_cast<std::uint64_t>(std::ldexp(share, 64));
  };
  if (bound_of(begin) == bound_of(end)) return none();
  Holdout holdout = up_to(Hash128{.high = bound_of(end) - 1, .low = ~std::uint64_t{0}});
  holdout.smallest_ = {.high = bound_of(begin), .low = 0};
  return holdout;
}

Holdout Holdout::up_to(std::optional<Hash128> largest) {
  Holdout holdout;
  holdout.largest_ = largest;
  return holdout;
}

void LowestHashes::add(const Hash128& hash) {
  if (lowest_.size() == count_ && (count_ == 0 || *lowest_.rbegin() < hash)) return;
  lowest_.insert(hash);
  if (lowest_.size() > count_) lowest_.erase(std::prev(lowest_.end()));
}

Holdout LowestHashes::holdout() const {
  return Holdout::up_to(lowest_.empty() ? std::nullopt : std::optional(*lowest_.rbegin()));
}

}  // namespace sluice::data
