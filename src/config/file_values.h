// What a configuration file says, as text, before defaults: to tell an edit of the file from an override that is missing.
#pragma once

#include <map>
#include <string>

#include "config/config.h"

namespace sluice::config {

// Dotted path to value, for every value that the file, what it extends and the overrides give. Scalars as they are written without quotes;
// a list as its items in brackets. Nothing is checked, and what is no YAML gives nothing: load() names the problems. kMissingInput where the
// file is not there.
using FileValues = std::map<std::string, std::string>;
FileValues read_file_values(const Section& section, const Input& input);

template <class T>
FileValues file_values(const Input& input) {
  return read_file_values(describe<T>(), input);
}

// Those at `path`, below it, or of a section or value that holds it.
FileValues values_near(const FileValues& values, const std::string& path);

// "a.b" of "a.b=c".
std::string override_path(const std::string& text);

}  // namespace sluice::config
