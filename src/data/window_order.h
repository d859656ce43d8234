// The order in which training visits the windows of a stream, with O(1) random access and no state.
#pragma once

#include <cstdint>

namespace sluice::data {

// A keyed bijection on [0, size): a Feistel network with cycle walking, O(1) per element.
class KeyedPermutation {
 public:
  KeyedPermutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t operator()(std::uint64_t index) const;

 private:
  std::uint64_t size_, key_;
  int half_bits_;
};

// The window at `position` in an endless sequence of epochs. Each epoch is a permutation of all
// windows, keyed by (seed, epoch).
std::uint64_t window_in_order(std::uint64_t seed, std::uint64_t num_windows,
                              std::uint64_t position);

}  // namespace sluice::data
