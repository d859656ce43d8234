// Names that other programs use for our keys, values, options and commands. They are not accepted
// as input; they only serve to suggest the right name in error messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

enum class AliasKind { kKey, kValue, kOption, kCommand };

// `name`: the dotted path of a key or section, a value, an option, or a command. `aliases`: other
// names for it, separated by spaces.
struct Alias {
  AliasKind kind;
  std::string_view name, aliases;
};

std::span<const Alias> aliases();

// Normalized form for comparing spellings: lower-case letters and digits only, so that hiddenSize,
// hidden-size and HIDDEN_SIZE are equal.
std::string folded(std::string_view name);

// Our names for an alias in any spelling, in table order.
std::vector<std::string_view> names_for(AliasKind kind, std::string_view alias);

// The most likely intended entry of `names`: a value alias if there is one, else the nearest
// spelling; empty if none is close.
std::string_view suggested(std::string_view text, std::span<const std::string_view> names);

}  // namespace sluice::config
