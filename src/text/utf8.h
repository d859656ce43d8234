// UTF-8 as in Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::text {

// Length in bytes of the longest prefix of `text` that is valid UTF-8.
std::size_t valid_utf8_prefix(std::string_view text);
inline bool is_valid_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

// Length of the invalid sequence at the start of `text`, 1 to 3 bytes, to be replaced by one U+FFFD
// (the maximal subpart, Unicode 15, section 3.9).
std::size_t invalid_utf8_length(std::string_view text);

// `text` with U+FFFD for every invalid sequence.
std::string with_valid_utf8(std::string_view text);

// The largest position <= `limit` in `text`, valid UTF-8, that does not split a character.
std::size_t character_boundary(std::string_view text, std::size_t limit);

// Length in bytes of the first character of `text`, non-empty valid UTF-8.
std::size_t character_length(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";         // U+FEFF
inline constexpr std::string_view kWordBoundary =
    "\xE2\x96\x81";  // U+2581, a blank in SentencePiece

// Appends the code point `code`, which must not be a surrogate.
void append_utf8(std::uint32_t code, std::string& out);

// Number of non-overlapping occurrences of `needle` (not empty) in `text`.
std::size_t count_occurrences(std::string_view text, std::string_view needle);

}  // namespace sluice::text
