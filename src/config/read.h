// Converts the YAML tree to typed values.
#pragma once

#include "config/describe.h"
#include "config/tree.h"

namespace sluice::config {

// Reads a mapping (or null: no keys given) into `value`, which holds the defaults. Reports invalid
// values, missing values whose default violates a limit, and the problems found by check().
void read_value(const Section& section, void* value, const Node& root, Report& report);

// Reads a command-line argument by the same rules as a configuration value. Returns "" on success,
// else e.g. "received `010`; expected a whole number without leading zeros (did you mean `10`?)".
std::string read_word(const Type& type, const Limits& limits, std::string_view text, void* value);
template <class T>
std::string read_word(std::string_view text, const Limits& limits, T& value) {
  return read_word(detail::type_of<T>(), limits, text, &value);
}

}  // namespace sluice::config
