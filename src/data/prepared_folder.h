// prepared.json: the manifest of a folder of prepared data. Its presence marks the folder as
// finished. File names are recorded as given, for information only. Keys: PreparedManifest below.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/record.h"
#include "data/input_files.h"
#include "data/prepared.h"
#include "text/documents.h"

namespace sluice {
class FileSystem;
}

namespace sluice::data {

struct PreparedSplit {
  std::uint64_t documents = 0, bytes = 0, words = 0, tokens = 0, unknown = 0;  // SplitCounts
  std::vector<std::string> shards;

  static constexpr auto fields() {
    using config::field;
    using P = PreparedSplit;
    return std::tuple{field<&P::documents>("Documents."),
                      field<&P::bytes>("Bytes of their text."),
                      field<&P::words>("Words."),
                      field<&P::tokens>("Tokens, including separators."),
                      field<&P::unknown>("Occurrences of the tokenizer's unknown piece."),
                      field<&P::shards>("XXH3-128 of the token ids of each shard.")};
  }
};
SplitCounts counts_of(const PreparedSplit& split);
PreparedSplit prepared_split(const SplitCounts& counts, std::vector<std::string> shard_hashes);

struct PreparedTokenizer {
  std::string file, hash;
  static constexpr auto fields() {
    return std::tuple{config::field<&PreparedTokenizer::file>("tokenizer.model or tokenizer.json."),
                      config::field<&PreparedTokenizer::hash>("Its XXH3-128.")};
  }
};

struct PreparedFile {
  std::string name;
  std::uint64_t bytes = 0;
  Hash128 hash;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&PreparedFile::name>("Its path, as found."),
        config::field<&PreparedFile::bytes>("Its size."),
        config::field<&PreparedFile::hash>("XXH3-128 of its bytes on disk (not decompressed).")};
  }
};

struct PreparedManifest {
  static constexpr config::RecordFormat record{
      .name = "prepared",
      .place = "PREPARED_DIR/FINGERPRINT/prepared.json",
      .summary =
          "The contents of a folder of prepared data. Written last: without it the folder is "
          "unfinished.",
      .expected = "intact prepared data; remove its folder to prepare it again",
      .version = 2,
      .seal = config::RecordFormat::Seal::kIfThere};
  std::string fingerprint;
  std::string program;
  PreparedTokenizer tokenizer;
  std::map<std::string, PreparedSplit> splits;  // by split_name()
  std::uint64_t documents_in_both = 0;
  std::optional<std::uint64_t> bytes_in_both;
  std::map<std::string, text::FaultReport::Fault> faults;
  std::string settings;
  std::vector<PreparedFile> files;

  const PreparedSplit& split(Split split) const {
    return splits.at(std::string(split_name(split)));
  }
  Overlap overlap() const;
  void set_overlap(const Overlap& overlap);

  static constexpr auto fields() {
    using config::field;
    using M = PreparedManifest;
    return std::tuple{
        field<&M::fingerprint>("Hash of the settings that determine the tokens and of every input "
                               "file; the folder's name."),
        field<&M::program>("Version of the program that wrote it."),
        field<&M::tokenizer>("The tokenizer in this folder."),
        field<&M::splits>("One for each split: train, valid, tune.", config::Rest{}),
        field<&M::documents_in_both>("Held-out documents that are also in the training files."),
        field<&M::bytes_in_both>(
            "Bytes of held-out text that are also in the training files, if any.",
            config::MayBeMissing{}),
        field<&M::faults>("Faults of the corpus, by kind."),
        field<&M::settings>("The settings that determine the tokens, one per line."),
        field<&M::files>("The corpus files.")};
  }
  static void check(const PreparedManifest& manifest, config::Problems& problems);
};

inline constexpr std::string_view kManifestName = "prepared.json";

void write_manifest(const PreparedManifest& manifest, const std::filesystem::path& directory,
                    FileSystem& files);
// kBadData if it is damaged.
PreparedManifest read_manifest(const std::filesystem::path& directory);
bool is_finished(const std::filesystem::path& directory);

// Opens a finished folder: reads the tokenizer, and checks its hash and every shard header against
// the manifest, and the manifest's fingerprint against the folder's name. kBadData on a mismatch.
PreparedData open_folder(const std::filesystem::path& directory);

}  // namespace sluice::data
