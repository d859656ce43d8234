// Corpus and tokenizer settings to token shards on disk, once per fingerprint.
//
// prepared_dir/FINGERPRINT/ holds tokenizer.model or tokenizer.json, SPLIT-NNNNN.tokens for each split (splits.h) and prepared.json
// (written last: without it the folder is unfinished work and is continued). The fingerprint is a hash of the settings that
// determine tokens and of the content of every input file. Two processes that prepare the same folder at once take turns by a lock.
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
  PerSplit<TokenStream> streams;  // that of Split::kTune is empty without corpus.tune_holdout
  PerSplit<SplitCounts> counts;
  Overlap overlap;

  const TokenStream& train() const { return streams[Split::kTrain]; }
  const TokenStream& valid() const { return streams[Split::kValid]; }
  void verify() const;  // every hash of every shard of every split; kBadData
};

struct PrepareSettings {
  text::CorpusConfig corpus;
  text::TokenizerConfig tokenizer;
  int num_threads = 1;
  text::Notes notes = text::Notes::kLog;  // warnings about the corpus; kNone where the same one is looked at again
};

// Prepares what is missing, then opens. Polls base/signals.h: throws kInterrupted after leaving the folder resumable.
// Logs what it did through base/log.h, and warns of what the splits are not good for. Where everything is prepared, reading suffices.
// kBadData where the training files have all of the text of corpus.valid.
PreparedData prepare(const PrepareSettings& settings);
// The same where everything is prepared already; nothing where it is not.
std::optional<PreparedData> find_prepared(const PrepareSettings& settings);
// Whether prepared_dir has finished data of this fingerprint.
bool has_prepared(const std::filesystem::path& prepared_dir, const std::string& fingerprint);
// Opens finished data without touching the corpus. kMissingInput where prepared_dir has no such fingerprint, kBadData where it is damaged.
PreparedData open_prepared(const std::filesystem::path& prepared_dir, const std::string& fingerprint);

// Encodes documents of other text for `eval --data`: the same reader, tokenizer and separator.
struct EncodedText {
  TokenStream stream;
  SplitCounts counts;
};
EncodedText encode_files(const std::vector<std::string>& paths, const text::CorpusConfig& corpus, const text::Tokenizer& tokenizer,
                         int num_threads);

}  // namespace sluice::data
