// Batches and model sizes for a configuration, for any objective.
//
// `tokens` in this folder and in run/ are target tokens, those that the model predicts. With
// causal_lm every input token has a target; with span corruption the encoder also reads other
// tokens.
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

// Ids in use: the tokenizer's pieces, followed by the objective's sentinels.
std::int64_t num_sentinels(const RunConfig& config);
inline std::int64_t vocabulary(const RunConfig& c, const text::Tokenizer& tokenizer) {
  return tokenizer.vocab_size() + num_sentinels(c);
}

// The id that the decoder of an encoder-decoder reads before the first target: the tokenizer's pad
// if it has one (T5), otherwise its end token.
std::int32_t start_id(const text::Tokenizer& tokenizer);
// The sequences for model::make_model. `start`: start_id(), for an encoder-decoder.
model::Sequences sequences_of(const RunConfig& config, std::int32_t start);
// Model sizes for `plan`, result.json and mfu.
model::ModelSizes sizes_of(const RunConfig& config, std::int64_t vocab_size);

// Keeps a reference to `data`. kBadData if the training split is shorter than one window.
std::unique_ptr<data::TrainingBatches> make_training_batches(const RunConfig& config,
                                                             const data::PreparedData& data);

// The text to evaluate; borrowed.
struct HeldOut {
  const data::TokenStream& stream;
  const data::SplitCounts& counts;
};
// The split selected by evaluate.split.
HeldOut held_out(const RunConfig& config, const data::PreparedData& data);

struct EvaluationLimits {
  std::uint64_t max_tokens = 0;  // 0: all
  std::int64_t stride = 0;       // 0: windows do not overlap
};
// Splits held-out text into batches. Keeps a reference to `stream`. kBadData if it is shorter than
// one segment of span corruption.
std::unique_ptr<data::EvaluationBatches> make_evaluation_batches(const ResolvedRun& run,
                                                                 const data::TokenStream& stream,
                                                                 const text::Tokenizer& tokenizer,
                                                                 const EvaluationLimits& limits);
// `counts` for eval::measure_perplexity: those of the text if the targets form the text; otherwise
// without bytes and words.
data::SplitCounts counts_of_targets(const data::Objective& objective,
                                    const data::SplitCounts& counts);

}  // namespace sluice::train
