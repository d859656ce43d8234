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
#include "config/record.h"

namespace sluice::store {

inline constexpr std::string_view kManifestName = "manifest.json";
struct ManifestFile {
  std::string name;  // a plain name, no folders
  std::uint64_t size_bytes = 0;
  Hash128 hash;
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;

  static constexpr auto fields() {
    return std::tuple{config::field<&ManifestFile::name>("A plain name, no folders.", config::NonEmpty{}),
                      config::field<&ManifestFile::size_bytes>("Its size."),
                      config::field<&ManifestFile::hash>("XXH3-128 of its content.", config::Key{"xxh3_128"})};
  }
};

struct Manifest {
  static constexpr config::RecordFormat record{
      .name = "manifest",
      .place = "RUN/checkpoints/step-N/manifest.json",
      .summary = "The files of a checkpoint. Written last: a directory without it is no checkpoint.",
      .expected = "a manifest as this program writes it",
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
        config::field<&Manifest::program_version>("Of the program that wrote it."),
        config::field<&Manifest::step>("Finished optimizer steps.", config::NonNegative{}),
        config::field<&Manifest::notes>("`tokenizer_hash` and `data_fingerprint`."),
        config::field<&Manifest::files>("The files, the manifest itself left out."),
    };
  }

  // kBadData where there is no such note; `source` stands for the file in the message.
  const std::string& note(std::string_view key, std::string_view source) const;
};

// Names must be plain, unique and other than manifest.json, notes UTF-8 (InvariantError).
std::string to_json(const Manifest& manifest);
// kBadData for anything that to_json would not have written, or a format version that this program does not know.
Manifest parse_manifest(std::string_view json, std::string_view source);

}  // namespace sluice::store
