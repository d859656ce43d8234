#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/json.h"
#include "base/log.h"
#include "base/text_format.h"
#include "data/prepared.h"
#include "train/resolve.h"

namespace sluice::app {
namespace {

nlohmann::ordered_json counts_json(const data::SplitCounts& counts) {
  return {{"num_documents", counts.num_documents},
          {"num_bytes", counts.num_bytes},
          {"num_words", counts.num_words},
          {"num_tokens", counts.num_tokens},
          {"num_unknown", counts.num_unknown}};
}

}  // namespace

void prepare_command(const PrepareOptions& options) {
  const train::RunConfig config = load_config(options.config);
  const int num_threads = static_cast<int>(train::resolve_threads(config.train));
  const data::PreparedData prepared = data::prepare({.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = num_threads});
  if (options.json) {
    nlohmann::ordered_json result = {{"directory", prepared.directory.string()},
                                     {"fingerprint", prepared.fingerprint},
                                     {"vocab_size", prepared.tokenizer->vocab_size()},
                                     {"tokenizer_hash", prepared.tokenizer->hash().hex()},
                                     {"lossless", prepared.tokenizer->lossless()},
                                     {"num_documents_in_both", prepared.overlap.num_documents},
                                     {"num_bytes_in_both", or_null(prepared.overlap.num_bytes)}};
    for (const data::Split split : data::kSplits) result[data::split_name(split)] = counts_json(prepared.counts[split]);
    std::cout << text_of(result) << "\n";
    return;
  }
  std::cout << printable(prepared.directory.string(), std::string::npos) << ": ";
  for (const data::Split split : data::kSplits) {
    if (split == data::Split::kTune && prepared.counts[split].num_tokens == 0) continue;
    std::cout << with_commas(static_cast<std::int64_t>(prepared.counts[split].num_tokens)) << " " << data::split_words(split)
              << " tokens, ";
  }
  std::cout << "vocabulary of " << with_commas(prepared.tokenizer->vocab_size()) << "\n";
}

}  // namespace sluice::app
