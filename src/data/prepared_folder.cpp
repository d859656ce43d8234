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
  manifest.train = split_from(value.at("train"));
  manifest.valid = split_from(value.at("valid"));
  manifest.tune = split_from(value.at("tune"));
  manifest.num_documents_in_both = value.at("documents_in_both").get<std::uint64_t>();
  for (const auto& [kind, fault] : value.at("faults").items()) {
    manifest.faults.add(kind, fault.at("first_file").get<std::string>(), fault.at("first_offset").get<std::uint64_t>(),
                        fault.at("count").get<std::uint64_t>());
  }
  return manifest;
}

TokenStream open_split(const std::filesystem::path& directory, std::string_view name, const PreparedSplit& split) {
  std::vector<std::filesystem::path> paths;
  SplitCounts counts;
  for (std::uint64_t index = 0; index < split.shard_hashes.size(); ++index) {
    paths.push_back(directory / shard_name(name, index));
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
  const json value = {{"format", kFormat},
                      {"fingerprint", manifest.fingerprint},
                      {"program", version()},
                      {"tokenizer", {{"file", manifest.tokenizer_file}, {"hash", manifest.tokenizer_hash}}},
                      {"train", to_json(manifest.train)},
                      {"valid", to_json(manifest.valid)},
                      {"tune", to_json(manifest.tune)},
                      {"documents_in_both", manifest.num_documents_in_both},
                      {"faults", to_json(manifest.faults)},
                      {"settings", manifest.settings},
                      {"files", names}};
  // Names of files need not be UTF-8, JSON must be.
  files.write_atomically(directory / kManifestName, value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

PreparedManifest read_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  try {
    const json value = json::parse(read_file(path, kMaxManifestBytes));
    if (value.at("format") != kFormat)
      fail(ExitCode::kBadData, path.string(), cat("format ", value.at("format").dump()),
           cat("format ", kFormat, "; remove its folder to prepare the data again"));
    return manifest_from(value);
  } catch (const json::exception&) {
    fail(ExitCode::kBadData, path.string(), "damaged", kExpected);
  }
}

bool is_finished(const std::filesystem::path& directory) { return std::filesystem::exists(directory / kManifestName); }

PreparedData open_folder(const std::filesystem::path& directory) {
  const PreparedManifest manifest = read_manifest(directory);
  const bool known = manifest.tokenizer_file == "tokenizer.model" || manifest.tokenizer_file == "tokenizer.json";
  require(known, ExitCode::kBadData, (directory / kManifestName).string(), "a strange tokenizer name", kExpected);
  std::shared_ptr<const text::Tokenizer> tokenizer = text::load_tokenizer(directory / manifest.tokenizer_file);
  require(tokenizer->hash().hex() == manifest.tokenizer_hash, ExitCode::kBadData, (directory / manifest.tokenizer_file).string(),
          "another tokenizer than the one that the data was prepared with", kExpected);
  return {.directory = directory,
          .fingerprint = manifest.fingerprint,
          .tokenizer = std::move(tokenizer),
          .train = open_split(directory, "train", manifest.train),
          .valid = open_split(directory, "valid", manifest.valid),
          .tune = open_split(directory, "tune", manifest.tune),
          .train_counts = manifest.train.counts,
          .valid_counts = manifest.valid.counts,
          .tune_counts = manifest.tune.counts,
          .num_documents_in_both = manifest.num_documents_in_both};
}

}  // namespace sluice::data
