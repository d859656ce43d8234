// Detects files in unsupported formats by their first bytes, so that errors can name the format.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::text {

struct ForeignFormat {
  std::string_view name;      // "xz data"
  std::string_view expected;  // for the error message
};

inline constexpr std::size_t kForeignFormatBytes = 8;  // bytes inspected

// `first_bytes`: the start of a file, after a UTF-8 byte order mark. Returns an empty name if the
// file may be text.
ForeignFormat foreign_format(std::string_view first_bytes);

}  // namespace sluice::text
