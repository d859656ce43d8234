// Perplexity, defined once (docs/metrics.md):
//   log_perplexity = Σ −ln p(target | context) / num_tokens, in nats, over every target of the set, each scored once, no dropout
//   perplexity = exp(log_perplexity)
//   bits_per_byte = Σ nats / (ln 2 · num_bytes), bytes of the raw UTF-8 text
//   word_perplexity = exp(Σ nats / num_words), words being maximal runs of non-whitespace
// and for each document the nats of its own targets, so that two models can be compared document by document.
// bits_per_byte and word_perplexity do not depend on the tokenizer where it is lossless. They are those of the whole set: with a limit on tokens they are null.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch_source.h"
#include "data/token_stream.h"
#include "model/language_model.h"
#include "store/held_out_figures.h"

namespace sluice::eval {

struct Perplexity {
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;                // targets scored
  bool whole = true;                           // no limit on tokens left any out
  std::uint64_t num_bytes = 0, num_words = 0;  // of the whole set, also where a part was scored
  std::uint64_t num_unknown = 0;
  std::uint64_t num_dropped_tokens = 0;        // the tail of the set that no batch holds
  std::vector<store::DocumentLoss> documents;  // of the set, in its order; empty where a limit on tokens leaves some out
};

// `counts`: of the text that the targets are. Where they are something else (span corruption) counts of 0 give no bits per byte and no word
// perplexity. Polls base/signals.h between batches and throws kInterrupted. Leaves model and gradients untouched.
Perplexity measure_perplexity(const model::LanguageModel& model, const data::EvaluationBatches& batches, const data::SplitCounts& counts,
                              at::Device device, const ops::Context& context);

}  // namespace sluice::eval
