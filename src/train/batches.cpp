#include "train/batches.h"

#include <variant>

#include "base/error.h"
#include "data/causal_batches.h"
#include "data/span_corruption.h"

namespace sluice::train {
namespace {

const data::SpanCorruptionConfig* spans_of(const RunConfig& config) { return std::get_if<data::SpanCorruptionConfig>(&config.objective); }

}  // namespace

std::int64_t SequenceShape::work() const { return shared ? target_length : input_length + target_length; }

SequenceShape sequence_shape(const RunConfig& config) {
  if (const auto* spans = spans_of(config)) {
    const data::SpanShape shape = data::span_shape_for(*spans);
    return {.input_length = shape.input_length(), .target_length = shape.target_length(), .shared = false};
  }
  return {.input_length = sequence_length(config), .target_length = sequence_length(config)};
}

std::int64_t num_sentinels(const RunConfig& config) {
  const auto* spans = spans_of(config);
  return spans != nullptr ? spans->sentinels : 0;
}

std::int32_t start_id(const text::Tokenizer& tokenizer) { return tokenizer.pad().value_or(tokenizer.eos().value_or(0)); }

model::Sequences sequences_of(const RunConfig& config, std::int32_t start) {
  const SequenceShape shape = sequence_shape(config);
  if (shape.shared) return {shape.target_length};
  return {shape.input_length, shape.target_length, start};
}

model::ModelSizes sizes_of(const RunConfig& config, std::int64_t vocab_size) {
  return model::model_sizes(config.model, vocab_size, sequences_of(config, /*start=*/0));
}

std::unique_ptr<data::TrainingBatches> make_training_batches(const RunConfig& config, const data::PreparedData& data) {
  if (const auto* spans = spans_of(config)) {
    return std::make_unique<data::SpanCorruptionBatches>(
        data.train(),
        data::SpanCorruptionBatches::Settings{
            .seed = config.run.seed, .batch_sequences = config.train.batch_sequences, .rules = data::span_rules(*spans, *data.tokenizer)});
  }
  return std::make_unique<data::CausalBatches>(data.train(), data::CausalBatches::Settings{.seed = config.run.seed,
                                                                                           .batch_sequences = config.train.batch_sequences,
                                                                                           .sequence_length = sequence_length(config)});
}

HeldOut held_out(const RunConfig& config, const data::PreparedData& data) {
  const data::Split split = split_of(config.evaluate.split);
  return {data.streams[split], data.counts[split]};
}

std::unique_ptr<data::EvaluationBatches> make_evaluation_batches(const RunConfig& resolved, const data::TokenStream& stream,
                                                                 const text::Tokenizer& tokenizer, const EvaluationLimits& limits) {
  const std::int64_t rows = *resolved.train.micro_batch_sequences;
  if (const auto* spans = spans_of(resolved)) {
    invariant(limits.stride == 0, "segments of span corruption have no stride");
    return std::make_unique<data::SpanCorruptionEvaluation>(
        stream, data::SpanCorruptionEvaluation::Settings{
                    .batch_sequences = rows, .max_tokens = limits.max_tokens, .rules = data::span_rules(*spans, tokenizer)});
  }
  const std::int64_t length = sequence_length(resolved);
  return std::make_unique<data::EvaluationWindows>(stream,
                                                   data::EvaluationWindows::Settings{.sequence_length = length,
                                                                                     .stride = limits.stride == 0 ? length : limits.stride,
                                                                                     .batch_sequences = rows,
                                                                                     .max_tokens = limits.max_tokens,
                                                                                     .start = tokenizer.eos().value_or(-1)});
}

data::SplitCounts counts_of_targets(const RunConfig& config, const data::SplitCounts& counts) {
  if (spans_of(config) == nullptr) return counts;
  data::SplitCounts kept = counts;
  kept.num_bytes = kept.num_words = 0;
  return kept;
}

}  // namespace sluice::train
