#include "store/manifest.h"

#include <set>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::store {
namespace {

constexpr std::size_t kMaxManifestBytes = 1 << 20;
constexpr std::size_t kMaxNameBytes = 255;

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         name != kManifestName && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

bool are_plain_and_unique(const std::vector<ManifestFile>& files) {
  std::set<std::string_view> names;
  for (const ManifestFile& f : files) {
    if (!is_plain_name(f.name) || !names.insert(f.name).second) return false;
  }
  return true;
}

}  // namespace

const std::string& Manifest::note(std::string_view key, std::string_view source) const {
  const auto found = notes.find(std::string(key));
  if (found == notes.end()) fail(ExitCode::kBadData, source, cat("missing note `", key, "`"));
  return found->second;
}

std::string to_json(const Manifest& manifest) {
  invariant(are_plain_and_unique(manifest.files) && manifest.step >= 0,
            "a manifest needs plain, unique file names and a non-negative step");
  return config::to_json(manifest);
}

Manifest parse_manifest(std::string_view json, std::string_view source) {
  if (json.size() > kMaxManifestBytes)
    fail(ExitCode::kBadData, source, cat(json.size(), " bytes"), "a manifest of at most 1 MiB");
  Manifest manifest = config::from_json<Manifest>(json, source);
  if (!are_plain_and_unique(manifest.files) || config::to_json(manifest) != json)
    fail(ExitCode::kBadData, source, cat("hash mismatch; expected ", Manifest::record.expected));
  return manifest;
}

}  // namespace sluice::store
