// Prepares a corpus: tokenizer and token shards on disk, once per fingerprint.
//
// prepared_dir/FINGERPRINT/ contains tokenizer.model or tokenizer.json, SPLIT-NNNNN.tokens for each
// split (splits.h) and prepared.json. The latter is written last; a folder without it is unfinished
// and will be continued. The fingerprint is a hash of the settings that determine the tokens and of
// the content of every input file. A lock serializes processes that prepare the same folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "data/overlap.h"
#include "data/splits.h"
#include "data/token_stream.h"
#include "text/corpus_config.h"
#include "text/documents.h"
#include "text/tokenizer.h"

namespace sluice::data {

struct PreparedData {
  std::filesystem::path directory;
  std::string fingerprint;  // 32 hex digits
  std::shared_ptr<const text::Tokenizer> tokenizer;
  PerSplit<TokenStream> streams;  // Split::kTune is empty without corpus.tune_holdout
  PerSplit<SplitCounts> counts;
  // SHA-256 of the hashes of its shards (prepared.json), a line each
  PerSplit<std::string> hashes;
  Overlap overlap;

  const TokenStream& train() const { return streams[Split::kTrain]; }
  const TokenStream& valid() const { return streams[Split::kValid]; }
  void verify() const;  // checks the hashes of all shards; kBadData
};

struct PrepareSettings {
  text::CorpusConfig corpus;
  text::TokenizerConfig tokenizer;
  int num_threads = 1;
  // Warnings about the corpus; kNone if the same corpus has been checked before.
  text::Notes notes = text::Notes::kLog;
};

// Prepares missing data, then opens it. Polls base/signals.h: kInterrupted leaves the folder
// resumable. Logs its progress, and warns about overlap and small splits. Needs only read access if
// the data is already prepared. kBadData if the training files contain all text of corpus.valid, or
// more of the held-out tokens than corpus.max_overlap (token_overlap.h).
PreparedData prepare(const PrepareSettings& settings);
// Opens the data if it is already prepared; otherwise nullopt.
std::optional<PreparedData> find_prepared(const PrepareSettings& settings);
// Whether prepared_dir contains finished data with this fingerprint.
bool has_prepared(const std::filesystem::path& prepared_dir, const std::string& fingerprint);
// Opens finished data without reading the corpus. kMissingInput if prepared_dir has no data with
// this fingerprint, kBadData if it is damaged.
PreparedData open_prepared(const std::filesystem::path& prepared_dir,
                           const std::string& fingerprint);

// Encodes other text for `eval --data`, with the same reader, tokenizer and separator.
struct EncodedText {
  TokenStream stream;
  SplitCounts counts;
};
EncodedText encode_files(const std::vector<std::string>& paths, const text::CorpusConfig& corpus,
                         const text::Tokenizer& tokenizer, int num_threads);

}  // namespace sluice::data
