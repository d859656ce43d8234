// Validates a SentencePiece "precompiled charsmap": a double-array trie (Darts-clone) from source
// strings to offsets into a list of NUL-terminated replacements. The library follows its offsets
// without bounds checks, so every path is checked first.
#pragma once

#include <string_view>

namespace sluice::text {

// Returns an empty text if the table is valid, else its fault. Layout: trie size in bytes (uint32,
// little-endian), units (uint32), replacements. Unit: bits 0-7 label, 8 has-leaf, 9 offset is
// shifted by 8, 10-30 offset; bit 31 marks a value (bits 0-30).
std::string_view fault_of_charsmap(std::string_view table);

}  // namespace sluice::text
