#include "data/prepared_folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text_format.h"
#include "data/shard.h"
#include "data/token_overlap.h"

namespace sluice::data {

namespace {

constexpr std::size_t kMaxManifestBytes = 256 << 20;
constexpr std::string_view kExpected = PreparedManifest::record.expected;

std::shared_ptr<const text::Tokenizer> open_tokenizer(const std::filesystem::path& path,
                                                      const std::string& hash) {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  try {
    tokenizer = text::load_tokenizer(path);
  } catch (const UserError& error) {
    throw UserError(error.code(), cat(error.what(), " (expected ", kExpected, ')'));
  }
  require(tokenizer->hash().hex() == hash, ExitCode::kBadData, path.string(),
          cat("tokenizer hash mismatch with prepared.json; expected ", kExpected));
  return tokenizer;
}

TokenStream open_split(const std::filesystem::path& directory, Split name,
                       const PreparedSplit& split) {
  std::vector<std::filesystem::path> paths;
  SplitCounts counts;
  for (std::uint64_t index = 0; index < split.shards.size(); ++index) {
    paths.push_back(directory / shard_name(split_name(name), index));
    require(std::filesystem::exists(paths.back()), ExitCode::kMissingInput, paths.back().string(),
            cat("missing; expected ", kExpected));
    const ShardHeader header = read_shard_header(paths.back());
    const bool same = header.payload_hash.hex() == split.shards[index] && header.index == index;
    require(same, ExitCode::kBadData, paths.back().string(),
            cat("mismatch with prepared.json; expected ", kExpected));
    counts = header.end.counts;
  }
  require(counts == counts_of(split), ExitCode::kBadData, directory.string(),
          cat("mismatch between counts and shards; expected ", kExpected));
  return TokenStream(paths);
}

}  // namespace

SplitCounts counts_of(const PreparedSplit& split) {
  return {.num_documents = split.documents,
          .num_bytes = split.bytes,
          .num_words = split.words,
          .num_tokens = split.tokens,
          .num_unknown = split.unknown};
}

PreparedSplit prepared_split(const SplitCounts& counts, std::vector<std::string> shard_hashes) {
  return {.documents = counts.num_documents,
          .bytes = counts.num_bytes,
          .words = counts.num_words,
          .tokens = counts.num_tokens,
          .unknown = counts.num_unknown,
          .shards = std::move(shard_hashes)};
}

Overlap PreparedManifest::overlap() const {
  Overlap found{.num_documents = documents_in_both, .num_bytes = bytes_in_both};
  // Otherwise nullopt: prepared by a version that did not count bytes.
  if (documents_in_both == 0 && !bytes_in_both) found.num_bytes = 0;
  return found;
}

void PreparedManifest::set_overlap(const Overlap& overlap) {
  documents_in_both = overlap.num_documents;
  if (overlap.num_bytes.value_or(0) > 0) bytes_in_both = overlap.num_bytes;
}

void PreparedManifest::check(const PreparedManifest& manifest, config::Problems& problems) {
  for (const Split split : kSplits)
    if (!manifest.splits.contains(std::string(split_name(split))))
      problems.add(split_name(split), "missing", "an entry for this split");
  if (manifest.splits.size() > kSplits.size())
    problems.add("", cat(manifest.splits.size(), " splits"), cat(kSplits.size(), " splits"));
}

void write_manifest(const PreparedManifest& manifest, const std::filesystem::path& directory,
                    FileSystem& files) {
  files.write_atomically(directory / kManifestName, config::to_json(manifest));
}

PreparedManifest read_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  return config::from_json<PreparedManifest>(read_file(path, kMaxManifestBytes), path.string());
}

bool is_finished(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / kManifestName);
}

void PreparedData::verify() const {
  for (const Split split : kSplits) streams[split].verify();
  verify_overlap(directory);
}

PreparedData open_folder(const std::filesystem::path& directory) {
  const PreparedManifest manifest = read_manifest(directory);
  require(manifest.fingerprint == directory.filename().string(), ExitCode::kBadData,
          (directory / kManifestName).string(),
          cat("fingerprint differs from the folder name; expected ", kExpected));
  const bool known =
      manifest.tokenizer.file == "tokenizer.model" || manifest.tokenizer.file == "tokenizer.json";
  require(known, ExitCode::kBadData, (directory / kManifestName).string(),
          cat("unknown tokenizer file name; expected ", kExpected));
  std::shared_ptr<const text::Tokenizer> tokenizer =
      open_tokenizer(directory / manifest.tokenizer.file, manifest.tokenizer.hash);
  PreparedData data{.directory = directory,
                    .fingerprint = manifest.fingerprint,
                    .tokenizer = std::move(tokenizer),
                    .streams = {},
                    .counts = {},
                    .overlap = manifest.overlap()};
  for (const Split split : kSplits) {
    data.streams[split] = open_split(directory, split, manifest.split(split));
    data.counts[split] = counts_of(manifest.split(split));
    std::string lines;
    for (const std::string& hash : manifest.split(split).shards) lines += hash + '\n';
    data.hashes[split] = sha256_of(lines);
  }
  return data;
}

}  // namespace sluice::data
