// The values given in a configuration file, as text and without defaults. Used to distinguish an
// edited file from a missing override.
#pragma once

#include <map>
#include <string>

#include "config/config.h"

namespace sluice::config {

// Maps dotted paths to the values given by the file, its `extends` and the overrides. Scalars are
// unquoted; lists are their items in brackets. Nothing is validated, and invalid YAML yields an
// empty map: load() reports the problems. kMissingInput if a file does not exist.
using FileValues = std::map<std::string, std::string>;
FileValues read_file_values(const Section& section, const Input& input);

template <class T>
FileValues file_values(const Input& input) {
  return read_file_values(describe<T>(), input);
}

// The values at `path`, below it or above it.
FileValues values_near(const FileValues& values, const std::string& path);

// "a.b" for "a.b=c".
std::string override_path(const std::string& text);

}  // namespace sluice::config
