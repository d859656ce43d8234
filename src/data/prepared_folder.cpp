#include "data/prepared_folder.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "base/version.h"
#include "data/shard.h"

namespace sluice::data {

namespace {

using json = nlohmann::ordered_json;

constexpr int kFormat = 2;
constexpr std::size_t kMaxManifestBytes = 256 << 20;
constexpr std::string_view kExpected = "prepared data as it was written; remove its folder to prepare it again";

// The last line is a hash of all before it.
constexpr std::string_view kSeal = ",\n  \"seal_xxh3_128\": \"";

std::string sealed(std::string text) {
  text.resize(text.size() - 2);  // "\n}"
  return cat(text, kSeal, hash_of(text).hex(), "\"\n}\n");
}

// Earlier versions wrote none.
bool breaks_seal(std::string_view text) {
  const std::size_t at = text.rfind(kSeal);
  if (at == std::string_view::npos) return false;
  return text != cat(text.substr(0, at), kSeal, hash_of(text.substr(0, at)).hex(), "\"\n}\n");
}

json to_json(const PreparedSplit& split) {
  return {{"documents", split.counts.num_documents}, {"bytes", split.counts.num_bytes},     {"words", split.counts.num_words},
          {"tokens", split.counts.num_tokens},       {"unknown", split.counts.num_unknown}, {"shards", split.shard_hashes}};
}

json to_json(const text::FaultReport& report) {
  json faults = json::object();
  for (const auto& [kind, fault] : report.faults) {
    faults[kind] = {{"count", fault.count}, {"first_file", fault.first_file}, {"first_offset", fault.first_offset}};
  }
  return faults;
}

PreparedSplit split_from(const json& value) {
  PreparedSplit split;
  split.counts = {.num_documents = value.at("documents").get<std::uint64_t>(),
                  .num_bytes = value.at("bytes").get<std::uint64_t>(),
                  .num_words = value.at("words").get<std::uint64_t>(),
                  .num_tokens = value.at("tokens").get<std::uint64_t>(),
                  .num_unknown = value.at("unknown").get<std::uint64_t>()};
  split.shard_hashes = value.at("shards").get<std::vector<std::string>>();
  return split;
}

PreparedManifest manifest_from(const json& value) {
  PreparedManifest manifest;
  manifest.fingerprint = value.at("fingerprint").get<std::string>();
  manifest.tokenizer_file = value.at("tokenizer").at("file").get<std::string>();
  manifest.tokenizer_hash = value.at("tokenizer").at("hash").get<std::string>();
  for (const Split split : kSplits) manifest.splits[split] = split_from(value.at(split_name(split)));
  manifest.overlap.num_documents = value.at("documents_in_both").get<std::uint64_t>();
  if (value.contains("bytes_in_both")) {
    manifest.overlap.num_bytes = value.at("bytes_in_both").get<std::uint64_t>();
  } else if (manifest.overlap.num_documents > 0) {
    manifest.overlap.num_bytes.reset();
  }
  for (const auto& [kind, fault] : value.at("faults").items()) {
    manifest.faults.add(kind, fault.at("first_file").get<std::string>(), fault.at("first_offset").get<std::uint64_t>(),
                        fault.at("count").get<std::uint64_t>());
  }
  return manifest;
}

std::shared_ptr<const text::Tokenizer> open_tokenizer(const std::filesystem::path& path, const std::string& hash) {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  try {
    tokenizer = text::load_tokenizer(path);
  } catch (const UserError& error) {
    throw UserError(error.code(), cat(error.what(), " (needs ", kExpected, ')'));
  }
  require(tokenizer->hash().hex() == hash, ExitCode::kBadData, path.string(),
          "another tokenizer than the one that the data was prepared with", kExpected);
  return tokenizer;
}

TokenStream open_split(const std::filesystem::path& directory, Split name, const PreparedSplit& split) {
  std::vector<std::filesystem::path> paths;
  SplitCounts counts;
  for (std::uint64_t index = 0; index < split.shard_hashes.size(); ++index) {
    paths.push_back(directory / shard_name(split_name(name), index));
    require(std::filesystem::exists(paths.back()), ExitCode::kMissingInput, paths.back().string(), "no such file", kExpected);
    const ShardHeader header = read_shard_header(paths.back());
    const bool same = header.payload_hash.hex() == split.shard_hashes[index] && header.index == index;
    require(same, ExitCode::kBadData, paths.back().string(), "another shard than the one that was written here", kExpected);
    counts = header.end.counts;
  }
  require(counts == split.counts, ExitCode::kBadData, directory.string(), "counts that do not fit the shards", kExpected);
  return TokenStream(paths);
}

}  // namespace

void write_manifest(const PreparedManifest& manifest, const std::filesystem::path& directory, FileSystem& files) {
  json names = json::array();
  for (const InputFile& file : manifest.files) {
    names.push_back({{"name", file.path.string()}, {"bytes", file.size_bytes}, {"hash", file.hash.hex()}});
  }
  json value = {{"format", kFormat},
                {"fingerprint", manifest.fingerprint},
                {"program", version()},
                {"tokenizer", {{"file", manifest.tokenizer_file}, {"hash", manifest.tokenizer_hash}}}};
  for (const Split split : kSplits) value[split_name(split)] = to_json(manifest.splits[split]);
  value["documents_in_both"] = manifest.overlap.num_documents;
  if (manifest.overlap.num_bytes.value_or(0) > 0) value["bytes_in_both"] = *manifest.overlap.num_bytes;
  value["faults"] = to_json(manifest.faults);
  value["settings"] = manifest.settings;
  value["files"] = names;
  // Names of files need not be UTF-8, JSON must be.
  files.write_atomically(directory / kManifestName, sealed(value.dump(2, ' ', false, json::error_handler_t::replace)));
}

PreparedManifest read_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  try {
    const std::string text = read_file(path, kMaxManifestBytes);
    const json value = json::parse(text);
    if (value.at("format") != kFormat)
      fail(ExitCode::kBadData, path.string(), cat("format ", value.at("format").dump()),
           cat("format ", kFormat, "; remove its folder to prepare the data again"));
    require(!breaks_seal(text), ExitCode::kBadData, path.string(), "content that differs from its own hash", kExpected);
    return manifest_from(value);
  } catch (const json::exception&) {
    fail(ExitCode::kBadData, path.string(), "damaged", kExpected);
  }
}

bool is_finished(const std::filesystem::path& directory) { return std::filesystem::exists(directory / kManifestName); }

void PreparedData::verify() const {
  for (const Split split : kSplits) streams[split].verify();
}

PreparedData open_folder(const std::filesystem::path& directory) {
  const PreparedManifest manifest = read_manifest(directory);
  require(manifest.fingerprint == directory.filename().string(), ExitCode::kBadData, (directory / kManifestName).string(),
          "the fingerprint of other data", kExpected);
  const bool known = manifest.tokenizer_file == "tokenizer.model" || manifest.tokenizer_file == "tokenizer.json";
  require(known, ExitCode::kBadData, (directory / kManifestName).string(), "a strange tokenizer name", kExpected);
  std::shared_ptr<const text::Tokenizer> tokenizer = open_tokenizer(directory / manifest.tokenizer_file, manifest.tokenizer_hash);
  PreparedData data{.directory = directory,
                    .fingerprint = manifest.fingerprint,
                    .tokenizer = std::move(tokenizer),
                    .streams = {},
                    .counts = {},
                    .overlap = manifest.overlap};
  for (const Split split : kSplits) {
    data.streams[split] = open_split(directory, split, manifest.splits[split]);
    data.counts[split] = manifest.splits[split].counts;
  }
  return data;
}

}  // namespace sluice::data
