#include "data/overlap.h"

#include <algorithm>

#include "base/hash.h"

namespace sluice::data {

void OverlapFinder::add_held_out(std::string_view block) {
  if (!block.empty()) hashes_.push_back(hash_of(block).low);
}

void OverlapFinder::sort() {
  std::sort(hashes_.begin(), hashes_.end());
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  seen_.assign(hashes_.size(), false);
}

void OverlapFinder::add_training(std::string_view block) {
  if (block.empty()) return;
  const std::uint64_t hash = hash_of(block).low;
  const auto found = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (found != hashes_.end() && *found == hash)
    seen_[static_cast<std::size_t>(found - hashes_.begin())] = true;
}

void OverlapFinder::count(std::string_view block) {
  if (block.empty()) return;
  const std::uint64_t hash = hash_of(block).low;
  const auto found = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  const bool seen = found != hashes_.end() && *found == hash &&
                    seen_[static_cast<std::size_t>(found - hashes_.begin())];
  num_blocks_ += 1;
  if (!seen) return;
  num_seen_ += 1;
  *overlap_.num_bytes += block.size();
}

void OverlapFinder::end_document() {
  overlap_.num_documents += num_blocks_ > 0 && num_seen_ == num_blocks_;
  num_blocks_ = num_seen_ = 0;
}

bool OverlapFinder::any() const {
  return std::find(seen_.begin(), seen_.end(), true) != seen_.end();
}

bool OverlapFinder::is_full() const {
  return !seen_.empty() && std::find(seen_.begin(), seen_.end(), false) == seen_.end();
}

}  // namespace sluice::data
