// Names that other programs use for what is called otherwise here. Nothing is read under them: they
// turn "unknown key" into the right name. One table for keys, values, options and commands.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

enum class AliasOf { kKey, kValue, kOption, kCommand };

// `ours`: the dotted path of a key or section, a value, an option, or a command. `theirs`: names with blanks
// between.
struct Alias {
  AliasOf of;
  std::string_view ours, theirs;
};

std::span<const Alias> aliases();

// The form in which spellings are compared: small letters and digits only, so that hiddenSize,
// hidden-size and HIDDEN_SIZE are one name.
std::string folded(std::string_view name);

// Ours for a name of theirs, in any spelling, in the order of the table.
std::vector<std::string_view> ours_for(AliasOf of, std::string_view theirs);

// The one of `names` that was probably meant: by the table of values, else by its spelling; else
// empty.
std::string_view suggested(std::string_view text, std::span<const std::string_view> names);

}  // namespace sluice::config
