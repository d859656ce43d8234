#include "base/error.h"
#include "base/text_format.h"
#include "data/objective.h"
#include "data/span_corruption.h"

namespace sluice::data {
namespace {

class SpanObjective final : public Objective {
 public:
  explicit SpanObjective(const SpanCorruptionConfig& config)
      : config_(config), shape_(span_shape_for(config)) {}

  std::string_view title() const override { return "span corruption"; }
  SequenceShape shape() const override {
    return {.input_length = shape_.input_length(),
            .target_length = shape_.target_length(),
            .shared = false};
  }
  std::int64_t segment_length() const override { return shape_.segment_length; }
  std::string segment_length_source() const override {
    return cat("objective.input_length ", config_.input_length);
  }
  std::int64_t num_sentinels() const override { return config_.sentinels; }
  bool targets_are_text() const override { return false; }
  bool joins_documents() const override { return true; }
  bool has_stride() const override { return false; }
  std::optional<SpanRules> blanks(const text::Tokenizer& tokenizer) const override {
    return span_rules(config_, tokenizer);
  }

  std::unique_ptr<TrainingBatches> training_batches(
      const TokenStream& stream, const text::Tokenizer& tokenizer,
      const TrainingSettings& settings) const override {
    return std::make_unique<SpanCorruptionBatches>(
        stream, SpanCorruptionBatches::Settings{.seed = settings.seed,
                                                .batch_sequences = settings.batch_sequences,
                                                .rules = span_rules(config_, tokenizer)});
  }

  std::unique_ptr<EvaluationBatches> evaluation_batches(
      const TokenStream& stream, const text::Tokenizer& tokenizer,
      const EvaluationSettings& settings) const override {
    invariant(settings.stride == 0, "span corruption has no stride");
    return std::make_unique<SpanCorruptionEvaluation>(
        stream, SpanCorruptionEvaluation::Settings{.batch_sequences = settings.batch_sequences,
                                                   .max_tokens = settings.max_tokens,
                                                   .rules = span_rules(config_, tokenizer)});
  }

 private:
  SpanCorruptionConfig config_;
  SpanShape shape_;
};

}  // namespace

std::unique_ptr<const Objective> make(const SpanCorruptionConfig& config,
                                      std::optional<std::int64_t>) {
  return std::make_unique<SpanObjective>(config);
}

}  // namespace sluice::data
