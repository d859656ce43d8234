// The fields of a configuration as a flat list, for tables of settings.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/describe.h"

namespace sluice::config {

// Dotted path and value as one line of YAML; of a variant, `type` and the fields of that type.
using FlatSettings = std::vector<std::pair<std::string, std::string>>;

FlatSettings list_settings(const Section& section, const void* value);

// In the order of the rows.
template <class T>
FlatSettings flat_settings(const T& value) {
  return list_settings(describe<T>(), &value);
}

}  // namespace sluice::config
