#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "data/prepared.h"

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
  const int num_threads = config.train.threads.is_word() ? machine().num_cpus : static_cast<int>(*config.train.threads);
  const data::PreparedData prepared = data::prepare({.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = num_threads});
  if (options.json) {
    const nlohmann::ordered_json result = {
        {"directory", prepared.directory.string()},       {"fingerprint", prepared.fingerprint},
        {"vocab_size", prepared.tokenizer->vocab_size()}, {"tokenizer_hash", prepared.tokenizer->hash().hex()},
        {"lossless", prepared.tokenizer->lossless()},     {"num_documents_in_both", prepared.num_documents_in_both},
        {"train", counts_json(prepared.train_counts)},    {"valid", counts_json(prepared.valid_counts)}};
    std::cout << result.dump() << "\n";
    return;
  }
  std::cout << prepared.directory.string() << ": " << with_commas(static_cast<std::int64_t>(prepared.train_counts.num_tokens))
            << " training tokens, " << with_commas(static_cast<std::int64_t>(prepared.valid_counts.num_tokens))
            << " held-out tokens, vocabulary of " << with_commas(prepared.tokenizer->vocab_size()) << "\n";
}

}  // namespace sluice::app
