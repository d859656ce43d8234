#include "base/random.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/philox.h"

namespace sluice {
namespace {

std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return std::uint64_t{high} << 32 | low;
}

double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

Block128 philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  const PhiloxBlock block = philox_block(key, counter_low, counter_high);
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

namespace {

// Absorbs words one by one: the first half of each block becomes the next key. The upper counter
// encodes position and kind of the word, so that a purpose never collides with a coordinate.
struct KeyState {
  enum Kind : std::uint64_t { kPurpose = 1, kCoordinate = 2, kEnd = 3 };
  std::uint64_t key, position = 0;

  void absorb(Kind kind, std::uint64_t word) {
    const Block128 block = philox(key, word, position++ << 2 | kind);
    key = join(block[0], block[1]);
  }
  void absorb_purpose(std::string_view purpose) {
    for (std::size_t start = 0; start < purpose.size(); start += 8) {
      std::uint64_t word = 0;
      for (const char c : purpose.substr(start, 8))
        word = word << 8 | static_cast<unsigned char>(c);
      absorb(kPurpose, word);
    }
  }
};

}  // namespace

std::uint64_t purpose_key(std::uint64_t seed, std::string_view purpose) {
  KeyState state{seed};
  state.absorb_purpose(purpose);
  return state.key;
}

std::uint64_t random_key(std::uint64_t seed, std::string_view purpose,
                         std::initializer_list<std::uint64_t> coordinates) {
  KeyState state{seed};
  state.absorb_purpose(purpose);
  for (const std::uint64_t coordinate : coordinates)
    state.absorb(KeyState::kCoordinate, coordinate);
  state.absorb(KeyState::kEnd, purpose.size());
  return state.key;
}

std::uint64_t random_bits(std::uint64_t key, std::uint64_t n) {
  const Block128 block = philox(key, n);
  return join(block[0], block[1]);
}

double random_uniform(std::uint64_t key, std::uint64_t n) { return to_unit(random_bits(key, n)); }

double random_normal(std::uint64_t key, std::uint64_t n) {
  const Block128 block = philox(key, n);
  // (0, 1]: the logarithm stays finite
  const double radius_uniform = 1.0 - to_unit(join(block[0], block[1]));
  const double angle_uniform = to_unit(join(block[2], block[3]));
  return std::sqrt(-2.0 * std::log(radius_uniform)) *
         std::cos(2.0 * std::numbers::pi * angle_uniform);
}

std::uint64_t random_below(std::uint64_t key, std::uint64_t n, std::uint64_t bound) {
  invariant(bound > 0, "random_below: bound must be positive");
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(random_bits(key, n)) * bound >> 64);
}

}  // namespace sluice
