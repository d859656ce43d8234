// The manifest of a checkpoint: the names, sizes and hashes of its files. Written last.
//
// Canonical: reading accepts only the exact bytes that writing produces, and the last key is a hash
// of everything before it, so a flipped bit anywhere in the manifest is detected.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "config/record.h"

namespace sluice::store {

inline constexpr std::string_view kManifestName = "manifest.json";
struct ManifestFile {
  std::string name;  // a plain name, no folders
  std::uint64_t size_bytes = 0;
  Hash128 hash;
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;

  static constexpr auto fields() {
    return std::tuple{
        config::field<&ManifestFile::name>("A plain name, no folders.", config::NonEmpty{}),
        config::field<&ManifestFile::size_bytes>("Its size."),
        config::field<&ManifestFile::hash>("XXH3-128 of its content.", config::Key{"xxh3_128"})};
  }
};

struct Manifest {
  static constexpr config::RecordFormat record{
      .name = "manifest",
      .place = "RUN/checkpoints/step-N/manifest.json",
      .summary =
          "The files of a checkpoint. Written last: a directory without it is not a checkpoint.",
      .expected = "a manifest written by this program",
      .version = 1,
      .indent = 1,
      .seal = config::RecordFormat::Seal::kRequired};
  std::string program_version;
  std::int64_t step = 0;
  std::map<std::string, std::string> notes;
  std::vector<ManifestFile> files;
  friend bool operator==(const Manifest&, const Manifest&) = default;

  static constexpr auto fields() {
    return std::tuple{
        config::field<&Manifest::program_version>("Version of the program that wrote it."),
        config::field<&Manifest::step>("Finished optimizer steps.", config::NonNegative{}),
        config::field<&Manifest::notes>("`tokenizer_hash` and `data_fingerprint`."),
        config::field<&Manifest::files>("The files, except the manifest itself."),
    };
  }

  // kBadData if there is no such note; `source` names the file in the message.
  const std::string& note(std::string_view key, std::string_view source) const;
};

// Names must be plain, unique and not manifest.json; notes must be UTF-8 (InvariantError).
std::string to_json(const Manifest& manifest);
// kBadData for anything that to_json() would not write, or an unknown format version.
Manifest parse_manifest(std::string_view json, std::string_view source);

}  // namespace sluice::store
