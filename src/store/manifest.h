// The manifest of a checkpoint: which files belong to it, with size and hash of each. It is written last.
//
// Canonical: reading accepts only the very bytes that writing gives, and the last key is a hash of all before it, so that a
// flipped bit anywhere in the manifest is noticed too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace sluice::store {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::int64_t kManifestFormat = 1;

struct ManifestFile {
  std::string name;  // a plain name, no folders
  std::uint64_t size_bytes = 0;
  Hash128 hash;  // XXH3-128 of the content
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct Manifest {
  std::string program_version;
  std::int64_t step = 0;                     // finished optimizer steps
  std::map<std::string, std::string> notes;  // "tokenizer_hash", "config_hash", ...: the caller's
  std::vector<ManifestFile> files;           // without the manifest itself
  friend bool operator==(const Manifest&, const Manifest&) = default;

  // kBadData where there is no such note; `source` stands for the file in the message.
  const std::string& note(std::string_view key, std::string_view source) const;
};

// Names must be plain, unique and other than manifest.json, notes UTF-8 (InvariantError).
std::string to_json(const Manifest& manifest);
// kBadData for anything that to_json would not have written, or a format version that this program does not know.
Manifest parse_manifest(std::string_view json, std::string_view source);

}  // namespace sluice::store
