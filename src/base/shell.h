// Shell quoting for commands suggested in messages.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Quotes one word. Plain words stay unquoted. Words with control characters or invalid UTF-8 are
// written as $'...' (bash, zsh, ksh), so that a terminal can display them; all others as '...'.
std::string shell_word(std::string_view word);

// Quotes a path argument. Prefixes "./" to a leading "-", so that the path is not taken for an
// option.
std::string shell_path(std::string_view path);

// Quotes the command that runs this program: `argv0`, or its target if it is a link in /proc.
std::string shell_program(std::string_view argv0);

}  // namespace sluice
