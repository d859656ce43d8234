#include "text/charsmap_check.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/charsmap_unit.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

// Size of the library's array for the matches along one path.
constexpr int kMaxMatchesOnPath = 32;
constexpr int kMaxTableDepth = 1024;

class TrieWalk {
 public:
  TrieWalk(std::string_view units, std::string_view replacements)
      : units_(units),
        num_units_(units.size() / 4),
        replacements_(replacements),
        matches_below_(num_units_, kUnseen) {}

  std::string_view fault() {
    if (num_units_ == 0) return "an empty normalization table";
    visit(0, 0);
    return fault_;
  }

 private:
  static constexpr int kUnseen = -1, kOnPath = -2;

  CharsmapUnit unit(std::uint64_t index) const { return {charsmap_number(units_, index * 4)}; }

  int set_fault(std::string_view fault) {
    if (fault_.empty()) fault_ = fault;
    return 0;
  }

  // The maximum number of matches on any path from unit `node`. Branches may share units (the
  // builder merges equal suffixes), so results are cached.
  int visit(std::uint64_t node, int depth) {
    if (!fault_.empty()) return 0;
    if (matches_below_[node] == kOnPath) return set_fault("a cyclic normalization table");
    if (matches_below_[node] != kUnseen) return matches_below_[node];
    if (depth > kMaxTableDepth) return set_fault("a normalization table deeper than 1024 levels");
    matches_below_[node] = kOnPath;
    const CharsmapUnit here = unit(node);
    const std::uint64_t base = node ^ here.offset();
    if ((base | 0xFF) >= num_units_)
      return set_fault("an out-of-range offset in the normalization table");
    const bool match = depth > 0 && here.has_leaf();
    if (here.has_leaf()) check_value(unit(base));
    int below = 0;
    for (std::uint32_t byte = 0; byte < 256 && fault_.empty(); ++byte) {
      const std::uint64_t child = base ^ byte;
      if (unit(child).label() == byte) below = std::max(below, visit(child, depth + 1));
    }
    const int matches = below + (match ? 1 : 0);
    if (matches > kMaxMatchesOnPath)
      return set_fault("more than 32 normalization rules on one path");
    matches_below_[node] = matches;
    return matches;
  }

  void check_value(CharsmapUnit unit) {
    if (unit.value() >= replacements_.size())
      set_fault("an out-of-range replacement in the normalization table");
  }

  std::string_view units_;
  std::uint64_t num_units_;
  std::string_view replacements_;
  std::vector<int> matches_below_;
  std::string_view fault_;
};

}  // namespace

std::string_view fault_of_charsmap(std::string_view table) {
  if (table.size() <= 4) return "a truncated normalization table";
  const std::uint64_t trie_bytes = charsmap_number(table, 0);
  table.remove_prefix(4);
  if (trie_bytes >= table.size() || trie_bytes % 4 != 0)
    return "a wrong size of the normalization table";
  const std::string_view replacements = table.substr(trie_bytes);
  if (replacements.back() != '\0') return "unterminated normalization rules";
  if (!is_valid_utf8(replacements)) return "invalid UTF-8 in the normalization rules";
  return TrieWalk(table.substr(0, trie_bytes), replacements).fault();
}

}  // namespace sluice::text
