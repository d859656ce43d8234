// Files that are no text for this program, told by their first bytes, so that a message can say what they are.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::text {

struct ForeignFormat {
  std::string_view name;      // "xz data"
  std::string_view expected;  // what would be right
};

inline constexpr std::size_t kForeignFormatBytes = 8;  // that are looked at

// `first_bytes`: the start of a file, behind a byte order mark of UTF-8. An empty name for what may be text.
ForeignFormat foreign_format(std::string_view first_bytes);

}  // namespace sluice::text
