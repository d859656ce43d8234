// Values as YAML text.
#pragma once

#include <string>
#include <string_view>

#include "config/describe.h"

namespace sluice::config {

// One line: `0.1`, `[a, b]`, `{type: adamw, lr: 0.1}`. Reads back as the same value.
std::string write_flow(const Type& type, const void* value);

// The text as a plain word where no YAML reader takes it for something else, else in double quotes. `word`: a further text
// that must be quoted.
std::string quoted_if_needed(std::string_view text, std::string_view word = {});

// Text for a cell of a Markdown table.
std::string table_cell(std::string_view text);

// Words broken into lines of at most `width` columns (one word may be longer).
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace sluice::config
