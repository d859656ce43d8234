// Perplexity, defined once (docs/metrics.md):
//   log_perplexity   Σ −ln p(target | context) / num_tokens, in nats, over every target of the set,
//                    each scored once, without dropout
//   perplexity       exp(log_perplexity)
//   bits_per_byte    Σ nats / (ln 2 · num_bytes), bytes of the raw UTF-8 text
//   word_perplexity  exp(Σ nats / num_words), words being maximal runs of non-whitespace
// The nats of each document allow two models to be compared document by document. If the tokenizer
// is lossless, bits_per_byte and word_perplexity do not depend on it. They are defined for the
// whole set only: with a limit on tokens they are null.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/batch_source.h"
#include "data/token_stream.h"
#include "model/language_model.h"
#include "store/held_out_figures.h"

namespace sluice::eval {

struct Perplexity {
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;                // targets scored
  bool whole = true;                           // false if a limit on tokens excluded some
  std::uint64_t num_bytes = 0, num_words = 0;  // of the whole set, even if only a part was scored
  std::uint64_t num_unknown = 0;
  std::uint64_t num_dropped_tokens = 0;  // tail of the set that is in no batch
  // in the order of the set; empty if a limit on tokens excluded some
  std::vector<store::DocumentLoss> documents;
};

// Processes that share an evaluation: each computes some of the batches, and all have the result,
// which does not depend on their number.
struct Processes {
  int rank = 0, size = 1;
  // Every rank gives `count_of(its rank)` values of `all`, which are in the order of the ranks, and
  // receives the others. Not needed by one process.
  std::function<void(std::span<double> all, const std::function<std::int64_t(int)>& count_of)>
      gather{};
  // All compute the same number of batches, because each needs the others (sharded parameters);
  // some compute one that is not counted.
  bool same_passes = false;
};

// `counts`: of the text that the targets form. If they do not form the text (span corruption),
// counts of 0 yield no bits per byte and no word perplexity. One process polls base/signals.h
// between batches and throws kInterrupted. Does not change the model or gradients.
Perplexity measure_perplexity(const model::LanguageModel& model,
                              const data::EvaluationBatches& batches,
                              const data::SplitCounts& counts, at::Device device,
                              const ops::Context& context, const Processes& processes = {});

}  // namespace sluice::eval
