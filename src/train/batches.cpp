#include "train/batches.h"

namespace sluice::train {

data::SequenceShape sequence_shape(const RunConfig& config) {
  return objective_of(config)->shape();
}

std::int64_t num_sentinels(const RunConfig& config) {
  return objective_of(config)->num_sentinels();
}

std::int32_t start_id(const text::Tokenizer& tokenizer) {
  return tokenizer.pad().value_or(tokenizer.eos().value_or(0));
}

model::Sequences sequences_of(const RunConfig& config, std::int32_t start) {
  const data::SequenceShape shape = sequence_shape(config);
  if (shape.shared) return {shape.target_length};
  return {shape.input_length, shape.target_length, start};
}

model::ModelSizes sizes_of(const RunConfig& config, std::int64_t vocab_size) {
  return model::model_sizes(config.model, vocab_size, sequences_of(config, /*start=*/0));
}

std::unique_ptr<data::TrainingBatches> make_training_batches(const RunConfig& config,
                                                             const data::PreparedData& data) {
  return objective_of(config)->training_batches(
      data.train(), *data.tokenizer,
      {.seed = config.run.data_seed(), .batch_sequences = config.train.batch_sequences});
}

HeldOut held_out(const RunConfig& config, const data::PreparedData& data) {
  const data::Split split = split_of(config.evaluate.split);
  return {data.streams[split], data.counts[split]};
}

std::unique_ptr<data::EvaluationBatches> make_evaluation_batches(const ResolvedRun& run,
                                                                 const data::TokenStream& stream,
                                                                 const text::Tokenizer& tokenizer,
                                                                 const EvaluationLimits& limits) {
  return run.objective->evaluation_batches(stream, tokenizer,
                                           {.batch_sequences = run.micro_batch_sequences,
                                            .max_tokens = limits.max_tokens,
                                            .stride = limits.stride});
}

data::SplitCounts counts_of_targets(const data::Objective& objective,
                                    const data::SplitCounts& counts) {
  if (objective.targets_are_text()) return counts;
  data::SplitCounts kept = counts;
  kept.num_bytes = kept.num_words = 0;
  return kept;
}

}  // namespace sluice::train
