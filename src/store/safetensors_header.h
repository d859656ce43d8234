// The JSON header of a safetensors file, read as the one shape it may have. Used by safetensors.cpp only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::store {

inline constexpr std::string_view kMetadataKey = "__metadata__";

// As written: nothing but the JSON types is checked.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

// kBadData for anything but {"NAME": {"dtype": string, "shape": [counts], "data_offsets": [begin, end]}} with an optional
// "__metadata__" of strings; the keys of a tensor in any order, each once. Duplicate tensor names are the caller's to find.
// No tree is built and nothing recurses: the first value out of place ends it.
std::vector<HeaderEntry> read_header(std::string_view json, std::string_view source, std::map<std::string, std::string>& metadata);

}  // namespace sluice::store
