// Corpus and tokenizer settings to token shards on disk, once per fingerprint.
//
// prepared_dir/FINGERPRINT/ holds tokenizer.model or tokenizer.json, train-NNNNN.tokens, valid-NNNNN.tokens, tune-NNNNN.tokens and prepared.json
// (written last: without it the folder is unfinished work and is continued). The fingerprint is a hash of the settings that
// determine tokens and of the content of every input file. Two processes that prepare the same folder at once take turns by a lock.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "data/token_stream.h"
#include "text/corpus_config.h"
#include "text/documents.h"
#include "text/tokenizer.h"

namespace sluice::data {

struct PreparedData {
  std::filesystem::path directory;
  std::string fingerprint;  // 32 hex digits
  std::shared_ptr<const text::Tokenizer> tokenizer;
  TokenStream train, valid, tune;  // `tune` is empty without corpus.tune_holdout
  SplitCounts train_counts, valid_counts, tune_counts;
  std::uint64_t num_documents_in_both = 0;  // documents of `valid` that training has too
};

struct PrepareSettings {
  text::CorpusConfig corpus;
  text::TokenizerConfig tokenizer;
  int num_threads = 1;
};

// Prepares what is missing, then opens. Polls base/signals.h: throws kInterrupted after leaving the folder resumable.
// Logs what it did through base/log.h.
PreparedData prepare(const PrepareSettings& settings);
// The same where everything is prepared already; nothing where it is not.
std::optional<PreparedData> find_prepared(const PrepareSettings& settings);
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
