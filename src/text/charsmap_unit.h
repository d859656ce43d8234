// The units of the double-array trie in a SentencePiece normalization table (charsmap_check.h has
// the layout). Internal to text.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/little_endian.h"

namespace sluice::text {

inline std::uint32_t charsmap_number(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(read_little_endian(bytes, at, 4));
}

struct CharsmapUnit {
  std::uint32_t bits = 0;

  std::uint32_t offset() const { return (bits >> 10) << ((bits & (1U << 9)) >> 6); }
  std::uint32_t label() const { return bits & ((1U << 31) | 0xFF); }
  bool has_leaf() const { return (bits >> 8 & 1) == 1; }
  std::uint32_t value() const { return bits & 0x7FFFFFFF; }
};

}  // namespace sluice::text
