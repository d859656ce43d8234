// What the rest of the program asks of an objective. Each one is a class in a file of its own, and no other file asks which one it is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/batch_source.h"
#include "data/objective_config.h"
#include "data/span_rules.h"
#include "data/token_stream.h"

namespace sluice::text {
class Tokenizer;
}

namespace sluice::data {

// Of one sequence.
struct SequenceShape {
  std::int64_t input_length = 0, target_length = 0;
  bool shared = true;  // inputs and targets are the same positions
  // Tokens that pass through the network: both lengths, or the one that they share.
  std::int64_t work() const { return shared ? target_length : input_length + target_length; }
};

struct TrainingSettings {
  std::uint64_t seed = 1;
  std::int64_t batch_sequences = 16;
};

struct EvaluationSettings {
  std::int64_t batch_sequences = 16;
  std::uint64_t max_tokens = 0;  // targets; 0: all
  std::int64_t stride = 0;       // between the starts of windows, where has_stride(); 0: they do not overlap
};

class Objective {
 public:
  virtual ~Objective() = default;
  // In a report: "next token".
  virtual std::string_view title() const = 0;
  virtual SequenceShape shape() const = 0;
  // Tokens of the text that one sequence is made from.
  virtual std::int64_t segment_length() const = 0;
  // The setting that segment_length follows from, as "objective.input_length 512"; empty where it is train.sequence_length.
  virtual std::string segment_length_source() const { return {}; }
  // Ids behind the tokenizer's pieces.
  virtual std::int64_t num_sentinels() const { return 0; }
  // Every token of the text is a target once, and nothing else is: then bytes and words of the text are those of the targets.
  virtual bool targets_are_text() const = 0;
  // Documents are joined without end tokens.
  virtual bool joins_documents() const = 0;
  // Windows of an evaluation may overlap.
  virtual bool has_stride() const = 0;
  // How a model that fills in blanks marks them; nothing where it continues a text. Errors as of training_batches().
  virtual std::optional<SpanRules> blanks(const text::Tokenizer& tokenizer) const = 0;

  // Both keep a reference to `stream`. kBadData where it is too short, kUsage where the tokenizer lacks what the objective needs.
  virtual std::unique_ptr<TrainingBatches> training_batches(const TokenStream& stream, const text::Tokenizer& tokenizer,
                                                            const TrainingSettings& settings) const = 0;
  virtual std::unique_ptr<EvaluationBatches> evaluation_batches(const TokenStream& stream, const text::Tokenizer& tokenizer,
                                                                const EvaluationSettings& settings) const = 0;
};

// `sequence_length`: train.sequence_length where that is a number.
std::unique_ptr<const Objective> make_objective(const ObjectiveConfig& config, std::optional<std::int64_t> sequence_length);

// The kinds whose inputs and targets share their positions, or do not: "causal_lm or ...".
std::string kinds_that_share(bool shared);

// With its default settings; null where there is no such kind.
std::unique_ptr<const Objective> default_objective(std::string_view kind);

}  // namespace sluice::data
