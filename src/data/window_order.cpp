#include "data/window_order.h"

#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace sluice::data {

namespace {

constexpr int kNumRounds = 8;  // four suffice for large domains; small ones need more

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::uint64_t key)
    : size_(size), key_(key), half_bits_(1) {
  invariant(size > 0, "empty permutation");
  while (half_bits_ < 32 && (std::uint64_t{1} << (2 * half_bits_)) < size) ++half_bits_;
}

std::uint64_t KeyedPermutation::operator()(std::uint64_t index) const {
  invariant(index < size_, "index outside the permutation");
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  // The network permutes [0, 4^half_bits), at most four times the size: follow the cycle until the
  // index is in range.
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (std::uint64_t round = 0; round < kNumRounds; ++round) {
      const std::uint64_t mixed = philox(key_, right, round)[0];
      left = std::exchange(right, left ^ (mixed & mask));
    }
    index = left << half_bits_ | right;
  } while (index >= size_);
  return index;
}

std::uint64_t window_in_order(std::uint64_t seed, std::uint64_t num_windows,
                              std::uint64_t position) {
  const std::uint64_t epoch = position / num_windows;
  return KeyedPermutation(num_windows, random_key(seed, "order", {epoch}))(position % num_windows);
}

}  // namespace sluice::data
