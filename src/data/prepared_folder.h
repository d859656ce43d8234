// prepared.json: what a finished folder of prepared data holds. Its presence says that the folder is finished.
//
//   {"format": 2, "fingerprint": "...", "program": "0.1.0",
//    "tokenizer": {"file": "tokenizer.model", "hash": "..."},
//    "train": {"documents": 1130, "bytes": 3932086, "words": 750131, "tokens": 980123, "unknown": 0, "shards": ["hash of the ids", ...]},
//    "valid": {...}, "tune": {...}, "documents_in_both": 0, "bytes_in_both": 0 (missing where it is 0),
//    "faults": {"CRLF line ends": {"count": 2, "first_file": "a.txt", "first_offset": 17}},
//    "settings": "a line per setting", "files": [{"name": "data/kjv.txt", "bytes": 4139038, "hash": "..."}],
//    "seal_xxh3_128": "hash of all before this key" (missing in files of earlier versions)}
//
// Hashes are XXH3-128 in 32 hex digits; names are those that were given, and only for people to read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/input_files.h"
#include "data/prepared.h"
#include "text/documents.h"

namespace sluice {
class FileSystem;
}

namespace sluice::data {

struct PreparedSplit {
  SplitCounts counts;
  std::vector<std::string> shard_hashes;  // of the payloads
};

struct PreparedManifest {
  std::string fingerprint;
  std::string tokenizer_file, tokenizer_hash;
  PerSplit<PreparedSplit> splits;
  Overlap overlap;
  text::FaultReport faults;
  std::string settings;  // one line per setting that determines tokens
  std::vector<InputFile> files;
};

inline constexpr std::string_view kManifestName = "prepared.json";

void write_manifest(const PreparedManifest& manifest, const std::filesystem::path& directory, FileSystem& files);
// kBadData where it is damaged.
PreparedManifest read_manifest(const std::filesystem::path& directory);
bool is_finished(const std::filesystem::path& directory);

// Opens a finished folder: reads the tokenizer, compares every header and the tokenizer's hash with the manifest, and its fingerprint with
// the folder's name. kBadData.
PreparedData open_folder(const std::filesystem::path& directory);

}  // namespace sluice::data
