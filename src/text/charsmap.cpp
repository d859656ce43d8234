#include "text/charsmap.h"

#include "text/charsmap_unit.h"

namespace sluice::text {

std::optional<std::string_view> Charsmap::replacement(std::string_view text) const {
  const std::size_t trie_bytes = charsmap_number(table_, 0);
  const auto unit = [this](std::size_t index) {
    return CharsmapUnit{charsmap_number(table_, 4 + 4 * index)};
  };
  std::size_t node = unit(0).offset();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    const CharsmapUnit here = unit(node);
    if (here.label() != byte) return std::nullopt;
    node ^= here.offset();
    if (!here.has_leaf()) continue;
    const std::size_t begin = 4 + trie_bytes + unit(node).value();
    return std::string_view(table_).substr(begin, table_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

}  // namespace sluice::text
