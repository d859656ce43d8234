// Returns the name of an enumerator, from names_of() (field.h).
#pragma once

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace sluice::config {

template <class Enum>
std::string_view name_of(Enum value) {
  const auto names = names_of(value);
  const auto row =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == value; });
  invariant(row != names.end(), "enumerator without a name");
  return row->second;
}

}  // namespace sluice::config
