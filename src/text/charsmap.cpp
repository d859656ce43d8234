#include "text/charsmap.h"

namespace sluice::text {

std::uint32_t Charsmap::number_at(std::size_t byte) const {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(table_[byte + i]);
  return value;
}

std::optional<std::string_view> Charsmap::replacement(std::string_view text) const {
  const std::size_t trie_bytes = number_at(0);
  const auto unit = [this](std::size_t index) { return number_at(4 + 4 * index); };
  const auto offset = [](std::uint32_t bits) {
    return static_cast<std::size_t>(bits >> 10) << ((bits & (1U << 9)) >> 6);
  };
  std::size_t node = offset(unit(0));
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    const std::uint32_t here = unit(node);
    if ((here & ((1U << 31) | 0xFF)) != byte) return std::nullopt;
    node ^= offset(here);
    if ((here >> 8 & 1) == 0) continue;
    const std::size_t begin = 4 + trie_bytes + (unit(node) & 0x7FFFFFFF);
    return std::string_view(table_).substr(begin, table_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

}  // namespace sluice::text
