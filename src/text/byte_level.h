// GPT-2's mapping of bytes to printable characters, in which byte-level BPE vocabularies are
// written (Radford et al. 2019): printable Latin-1 bytes are themselves, the others are U+0100,
// U+0101, … in ascending order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::text {

// The character of `byte`, in UTF-8: one or two bytes.
const std::string& byte_level_character(unsigned char byte);
// The byte of the character `code`; -1 if it is not in the mapping.
int byte_of_character(std::uint32_t code);
// Replaces every byte of `text` by its character.
std::string to_byte_level(std::string_view text);

}  // namespace sluice::text
