// The batches that a configuration asks for, whatever its objective.
//
// `tokens` in this folder are target tokens: what the model is asked to write. With causal_lm every token read is one; with span
// corruption the encoder reads others besides.
#pragma once

#include <cstdint>
#include <memory>

#include "data/batch_source.h"
#include "data/prepared.h"
#include "model/language_model.h"
#include "text/tokenizer.h"
#include "train/resolve.h"
#include "train/run_config.h"

namespace sluice::train {

data::SequenceShape sequence_shape(const RunConfig& config);

// Ids in use: the tokenizer's pieces, and the objective's sentinels behind them.
std::int64_t num_sentinels(const RunConfig& config);
inline std::int64_t vocabulary(const RunConfig& c, const text::Tokenizer& tokenizer) { return tokenizer.vocab_size() + num_sentinels(c); }

// What an encoder-decoder's decoder reads before the first target: the tokenizer's pad where it has one (T5), else its end token.
std::int32_t start_id(const text::Tokenizer& tokenizer);
// The sequences that the model is made for. `start`: of an encoder-decoder.
model::Sequences sequences_of(const RunConfig& config, std::int32_t start);
// What `plan`, result.json and mfu say of the model.
model::ModelSizes sizes_of(const RunConfig& config, std::int64_t vocab_size);

// Keeps a reference to `data`. kBadData where the training split is shorter than one window.
std::unique_ptr<data::TrainingBatches> make_training_batches(const RunConfig& config, const data::PreparedData& data);

// Text that is evaluated; borrowed.
struct HeldOut {
  const data::TokenStream& stream;
  const data::SplitCounts& counts;
};
// The split that evaluate.split names.
HeldOut held_out(const RunConfig& config, const data::PreparedData& data);

struct EvaluationLimits {
  std::uint64_t max_tokens = 0;  // 0: all
  std::int64_t stride = 0;       // 0: windows do not overlap
};
// How held-out text is cut and batched. Keeps a reference to `stream`. kBadData where it is shorter than one
// segment of span corruption.
std::unique_ptr<data::EvaluationBatches> make_evaluation_batches(const ResolvedRun& run, const data::TokenStream& stream,
                                                                 const text::Tokenizer& tokenizer, const EvaluationLimits& limits);
// `counts` as eval::measure_perplexity wants them: those of the text where the targets are the text.
data::SplitCounts counts_of_targets(const data::Objective& objective, const data::SplitCounts& counts);

}  // namespace sluice::train
