// UTF-8 as Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::text {

// Length in bytes of the longest prefix of `text` that is valid UTF-8.
std::size_t valid_utf8_prefix(std::string_view text);
inline bool is_valid_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

// `text` starts with an invalid sequence: the bytes that one U+FFFD stands for (the maximal subpart, Unicode 15, section 3.9), 1 to 3.
std::size_t invalid_utf8_length(std::string_view text);

// The largest position <= `limit` of valid UTF-8 that does not split a character.
std::size_t character_boundary(std::string_view text, std::size_t limit);

// Bytes of the first character of `text`, valid UTF-8 that is not empty.
std::size_t character_length(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";         // U+FEFF
inline constexpr std::string_view kWordBoundary = "\xE2\x96\x81";          // U+2581, SentencePiece's stand-in for a blank

// Appends the character with this number, which is no half of a surrogate pair.
void append_utf8(std::uint32_t code, std::string& out);

// How often `needle` (not empty) occurs in `text`, without overlaps.
std::size_t count_occurrences(std::string_view text, std::string_view needle);

}  // namespace sluice::text
