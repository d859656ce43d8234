// Writes values as YAML.
#pragma once

#include <string>
#include <string_view>

#include "config/describe.h"

namespace sluice::config {

// One line: `0.1`, `[a, b]`, `{type: adamw, lr: 0.1}`. Reads back as the same value.
std::string write_flow(const Type& type, const void* value);

// The text as a plain scalar if every YAML parser reads it as text, else in double quotes. `word`:
// another text that must be quoted.
std::string quoted_if_needed(std::string_view text, std::string_view word = {});

// Escapes text for a Markdown table cell.
std::string table_cell(std::string_view text);

// Wraps text to lines of at most `width` columns (longer words are not broken).
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace sluice::config
