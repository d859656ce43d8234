// The order in which training visits the windows of a stream: nothing is stored, and any place of it costs the same.
#pragma once

#include <cstdint>

namespace sluice::data {

// Bijection on [0, size): a Feistel network with cycle walking, O(1) per element, nothing stored.
class KeyedPermutation {
 public:
  KeyedPermutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t operator()(std::uint64_t index) const;

 private:
  std::uint64_t size_, key_;
  int half_bits_;
};

// The window at a place of an endless sequence of epochs, each of which is a permutation of all windows under a key of (seed, epoch).
std::uint64_t window_in_order(std::uint64_t seed, std::uint64_t num_windows, std::uint64_t place);

}  // namespace sluice::data
