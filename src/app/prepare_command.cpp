#include <iostream>
#include <string>

#include "app/commands.h"
#include "app/outputs.h"
#include "base/log.h"
#include "base/text_format.h"
#include "data/corpus_checks.h"
#include "data/prepared.h"
#include "data/token_overlap.h"
#include "train/execution.h"

namespace sluice::app {
void prepare_command(const PrepareOptions& options) {
  const train::RunConfig config = load_config(options.config);
  const int num_threads = static_cast<int>(train::resolve_threads(config.train));
  const data::PreparedData prepared = data::prepare(
      {.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = num_threads});
  const data::OverlapTotals overlap =
      data::totals_of(data::overlap_of(prepared, num_threads).valid);
  if (options.json) {
    PrepareOutput output{.directory = prepared.directory.string(),
                         .fingerprint = prepared.fingerprint,
                         .vocab_size = prepared.tokenizer->vocab_size(),
                         .tokenizer_hash = prepared.tokenizer->hash().hex(),
                         .lossless = prepared.tokenizer->lossless(),
                         .num_documents_in_both = prepared.overlap.num_documents,
                         .num_bytes_in_both = prepared.overlap.num_bytes,
                         .num_contained_tokens = overlap.num_contained,
                         .num_near_duplicates = overlap.num_near_duplicates};
    for (const data::Split split : data::kSplits)
      output.splits[std::string(data::split_name(split))] = prepared.counts[split];
    std::cout << config::to_json(output);
    return;
  }
  std::cout << printable(prepared.directory.string(), std::string::npos) << ": ";
  for (const data::Split split : data::kSplits) {
    if (split == data::Split::kTune && prepared.counts[split].num_tokens == 0) continue;
    std::cout << with_commas(static_cast<std::int64_t>(prepared.counts[split].num_tokens)) << " "
              << data::split_words(split) << " tokens, ";
  }
  std::cout << "vocabulary of " << with_commas(prepared.tokenizer->vocab_size()) << "\n";
  if (overlap.num_tokens > 0) std::cout << "overlap: " << data::overlap_words(overlap) << "\n";
}

}  // namespace sluice::app
