// What a value of a type must be, in words for messages and reference pages.
#pragma once

#include <string>

#include "base/text_format.h"
#include "config/describe.h"

namespace sluice::config {

// Describes valid values: "a whole number from 1 to 8", "`auto` or a number", "a list, each item
// text".
std::string expected_words(const Type& type, const Limits& limits);

// "a, b, c"
template <class List, class Name>
std::string enumerated(const List& list, Name name) {
  std::string text;
  for (const auto& item : list) text += cat(text.empty() ? "" : ", ", name(item));
  return text;
}

inline std::string_view kind_name(const Section* kind) { return kind->kind; }

}  // namespace sluice::config
