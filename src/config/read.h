// From the tree to the typed value.
#pragma once

#include "config/describe.h"
#include "config/tree.h"

namespace sluice::config {

// Reads the mapping (or null: nothing given) into the value, which holds the defaults. Problems go to the report, among them
// defaults that break a limit where nothing is given, and those of check().
void read_value(const Section& section, void* value, const Node& root, Report& report);

// Reads one word of the command line by the rules of a configuration. Empty where the value is stored, else
// "received `010`; expected a whole number without leading zeros (did you mean `10`?)".
std::string read_word(const Type& type, const Limits& limits, std::string_view text, void* value);
template <class T>
std::string read_word(std::string_view text, const Limits& limits, T& value) {
  return read_word(detail::type_of<T>(), limits, text, &value);
}

// What a value of this type is: "a whole number from 1 to 8", "auto or a number", "a list of text".
std::string expected_words(const Type& type, const Limits& limits);

}  // namespace sluice::config
