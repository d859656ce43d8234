#include "store/manifest.h"

#include <set>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSeal = "seal_xxh3_128";  // hash of the text that has an empty seal
constexpr std::size_t kMaxManifestBytes = 1 << 20;
constexpr std::size_t kMaxNameBytes = 255;

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." && name != kManifestName &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool are_plain_and_unique(const std::vector<ManifestFile>& files) {
  std::set<std::string_view> names;
  for (const ManifestFile& f : files) {
    if (!is_plain_name(f.name) || !names.insert(f.name).second) return false;
  }
  return true;
}

std::string text_of(const Json& json) { return json.dump(1) + "\n"; }

std::string sealed(const Manifest& manifest) {
  Json json;
  json["format"] = kManifestFormat;
  json["program_version"] = manifest.program_version;
  json["step"] = manifest.step;
  json["notes"] = manifest.notes;
  json["files"] = Json::array();
  for (const ManifestFile& f : manifest.files) {
    json["files"].push_back({{"name", f.name}, {"size_bytes", f.size_bytes}, {"xxh3_128", f.hash.hex()}});
  }
  json[kSeal] = "";
  json[kSeal] = hash_of(text_of(json)).hex();
  return text_of(json);
}

std::uint64_t hex_to_number(std::string_view digits) {
  std::uint64_t value = 0;
  for (char c : digits) {
    const bool is_digit = c >= '0' && c <= '9';
    value = value << 4 | static_cast<std::uint64_t>(is_digit ? c - '0' : (c - 'a' + 10) & 15);
  }
  return value;
}

// Anything wrong with the digits shows when the manifest is written again and compared.
Hash128 hash_from_hex(const std::string& hex) {
  if (hex.size() != 32) return {};
  return {hex_to_number(std::string_view(hex).substr(0, 16)), hex_to_number(std::string_view(hex).substr(16))};
}

std::uint64_t count_from(const Json& json) { return json.is_number_unsigned() ? json.get<std::uint64_t>() : 0; }

// Throws nlohmann's exceptions for keys that are missing or of another type; numbers that are no counts become 0.
Manifest from_json(const Json& json) {
  Manifest manifest;
  manifest.program_version = json.at("program_version").get<std::string>();
  manifest.step = static_cast<std::int64_t>(count_from(json.at("step")));
  manifest.notes = json.at("notes").get<std::map<std::string, std::string>>();
  for (const Json& f : json.at("files")) {
    manifest.files.push_back(
        {f.at("name").get<std::string>(), count_from(f.at("size_bytes")), hash_from_hex(f.at("xxh3_128").get<std::string>())});
  }
  return manifest;
}

}  // namespace

const std::string& Manifest::note(std::string_view key, std::string_view source) const {
  const auto found = notes.find(std::string(key));
  if (found == notes.end()) fail(ExitCode::kBadData, source, cat("a manifest without the note `", key, "`"), "one that has it");
  return found->second;
}

std::string to_json(const Manifest& manifest) {
  invariant(are_plain_and_unique(manifest.files) && manifest.step >= 0, "a manifest needs plain, unique file names and a step");
  return sealed(manifest);
}

Manifest parse_manifest(std::string_view json, std::string_view source) {
  constexpr std::string_view kExpected = "a manifest as this program writes it";
  if (json.size() > kMaxManifestBytes) fail(ExitCode::kBadData, source, cat(json.size(), " bytes"), "a manifest of at most 1 MiB");
  const Json tree = Json::parse(json, nullptr, false);
  if (!tree.is_object()) fail(ExitCode::kBadData, source, "no JSON object", kExpected);
  if (const auto format = tree.find("format"); format != tree.end() && format->is_number_integer() && *format != kManifestFormat) {
    fail(ExitCode::kBadData, source, cat("manifest format ", format->dump()),
         cat("format ", kManifestFormat, ", the one this version reads"));
  }
  Manifest manifest;
  try {
    manifest = from_json(tree);
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::kBadData, source, "keys missing or of the wrong type", kExpected);
  }
  if (!are_plain_and_unique(manifest.files) || manifest.step < 0 || sealed(manifest) != json) {
    fail(ExitCode::kBadData, source, "content that differs from its own hash", kExpected);
  }
  return manifest;
}

}  // namespace sluice::store
