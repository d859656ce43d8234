#include "data/causal_batches.h"
#include "data/objective.h"
#include "text/tokenizer.h"

namespace sluice::data {
namespace {

constexpr std::int64_t kSequenceLength = 256;  // default

class CausalObjective final : public Objective {
 public:
  explicit CausalObjective(std::int64_t sequence_length) : length_(sequence_length) {}

  std::string_view title() const override { return "next token"; }
  SequenceShape shape() const override {
    return {.input_length = length_, .target_length = length_};
  }
  std::int64_t segment_length() const override { return length_; }
  bool targets_are_text() const override { return true; }
  bool joins_documents() const override { return false; }
  bool has_stride() const override { return true; }
  std::optional<SpanRules> blanks(const text::Tokenizer&) const override { return std::nullopt; }

  std::unique_ptr<TrainingBatches> training_batches(
      const TokenStream& stream, const text::Tokenizer&,
      const TrainingSettings& settings) const override {
    return std::make_unique<CausalBatches>(
        stream, CausalBatches::Settings{.seed = settings.seed,
                                        .batch_sequences = settings.batch_sequences,
                                        .sequence_length = length_});
  }

  std::unique_ptr<EvaluationBatches> evaluation_batches(
      const TokenStream& stream, const text::Tokenizer& tokenizer,
      const EvaluationSettings& settings) const override {
    return std::make_unique<EvaluationWindows>(
        stream,
        EvaluationWindows::Settings{.sequence_length = length_,
                                    .stride = settings.stride == 0 ? length_ : settings.stride,
                                    .batch_sequences = settings.batch_sequences,
                                    .max_tokens = settings.max_tokens,
                                    .start = tokenizer.eos().value_or(-1)});
  }

 private:
  std::int64_t length_;
};

}  // namespace

std::unique_ptr<const Objective> make(const CausalConfig&,
                                      std::optional<std::int64_t> sequence_length) {
  return std::make_unique<CausalObjective>(sequence_length.value_or(kSequenceLength));
}

}  // namespace sluice::data
