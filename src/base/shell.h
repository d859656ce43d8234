// Commands that a message suggests, written so that a shell reads back exactly these words.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// One word. Plain words stay as they are; others are put between '...', and between $'...' (bash, zsh, ksh) where they hold control
// characters or bytes that are not ASCII and not UTF-8, so that a terminal can show them.
std::string shell_word(std::string_view word);

// The same for a path that stands where a command also takes options: one that begins with "-" gets "./" before it.
std::string shell_path(std::string_view path);

// How to call this program again, as one word: `argv0`, or what stands behind it where that is a link of /proc.
std::string shell_program(std::string_view argv0);

}  // namespace sluice
