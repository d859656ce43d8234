#include "data/window_order.h"

#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace sluice::data {

namespace {

constexpr int kNumRounds = 8;  // small networks need more than the four that suffice for large ones

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::uint64_t key) : size_(size), key_(key), half_bits_(1) {
  invariant(size > 0, "a permutation of nothing");
  while (half_bits_ < 32 && (std::uint64_t{1} << (2 * half_bits_)) < size) ++half_bits_;
}

std::uint64_t KeyedPermutation::operator()(std::uint64_t index) const {
  invariant(index < size_, "an index outside the permutation");
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  // The network permutes [0, 4^half_bits), at most four times as many as wanted: walk on along the cycle until inside.
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

std::uint64_t window_in_order(std::uint64_t seed, std::uint64_t num_windows, std::uint64_t place) {
  const std::uint64_t epoch = place / num_windows;
  return KeyedPermutation(num_windows, random_key(seed, "order", {epoch}))(place % num_windows);
}

}  // namespace sluice::data
