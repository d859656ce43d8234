// The fields of a configuration as a flat list, for tables of settings and for shells.
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

// A field that `--set` accepts, of every type of a variant.
struct SettingPath {
  std::string path;                 // dotted
  std::vector<std::string> values;  // named values: of an enum, true and false, a word such as auto
};
std::vector<SettingPath> list_paths(const Section& section);

// Without the sections, in the order of the rows; each path once.
template <class T>
std::vector<SettingPath> setting_paths() {
  return list_paths(describe<T>());
}

}  // namespace sluice::config
