// Strict parser of the JSON header of a safetensors file. Internal to safetensors.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::store {

inline constexpr std::string_view kMetadataKey = "__metadata__";

// As in the file; only the JSON types are checked.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

// kBadData for anything other than
//   {"NAME": {"dtype": string, "shape": [counts], "data_offsets": [begin, end]}, ...}
// with an optional "__metadata__" of strings; the keys of a tensor in any order, each once. The
// caller checks for duplicate tensor names. Without a tree or recursion: stops at the first invalid
// value.
std::vector<HeaderEntry> read_header(std::string_view json, std::string_view source,
                                     std::map<std::string, std::string>& metadata);

}  // namespace sluice::store
