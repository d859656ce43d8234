// The interface of a training objective. Each objective is a class in a separate file; other code
// depends only on this interface.
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
  // Tokens that pass through the network: both lengths, or the shared one.
  std::int64_t work() const { return shared ? target_length : input_length + target_length; }
};

struct TrainingSettings {
  std::uint64_t seed = 1;
  std::int64_t batch_sequences = 16;
};

struct EvaluationSettings {
  std::int64_t batch_sequences = 16;
  std::uint64_t max_tokens = 0;  // targets; 0: all
  // Distance between window starts, if has_stride(); 0: no overlap.
  std::int64_t stride = 0;
};

class Objective {
 public:
  virtual ~Objective() = default;
  // For reports: "next token".
  virtual std::string_view title() const = 0;
  virtual SequenceShape shape() const = 0;
  // Raw text tokens per sequence.
  virtual std::int64_t segment_length() const = 0;
  // The setting that determines segment_length(), e.g. "objective.input_length 512"; empty if it is
  // train.sequence_length.
  virtual std::string segment_length_source() const { return {}; }
  // Number of ids after the tokenizer's pieces.
  virtual std::int64_t num_sentinels() const { return 0; }
  // The targets are exactly the tokens of the text, each once, so per-byte and per-word figures are
  // defined.
  virtual bool targets_are_text() const = 0;
  // Requires documents joined without end tokens.
  virtual bool joins_documents() const = 0;
  // Evaluation windows may overlap.
  virtual bool has_stride() const = 0;
  // The sentinels of a model that fills blanks; nullopt for one that continues text. Errors as for
  // training_batches().
  virtual std::optional<SpanRules> blanks(const text::Tokenizer& tokenizer) const = 0;

  // Both keep a reference to `stream`. kBadData if it is too short, kUsage if the tokenizer does
  // not support the objective.
  virtual std::unique_ptr<TrainingBatches> training_batches(
      const TokenStream& stream, const text::Tokenizer& tokenizer,
      const TrainingSettings& settings) const = 0;
  virtual std::unique_ptr<EvaluationBatches> evaluation_batches(
      const TokenStream& stream, const text::Tokenizer& tokenizer,
      const EvaluationSettings& settings) const = 0;
};

// `sequence_length`: train.sequence_length, if it is a number.
std::unique_ptr<const Objective> make_objective(const ObjectiveConfig& config,
                                                std::optional<std::int64_t> sequence_length);

// The kinds whose SequenceShape::shared equals `shared`: "causal_lm or ...".
std::string kinds_that_share(bool shared);

// With default settings; null for an unknown kind.
std::unique_ptr<const Objective> default_objective(std::string_view kind);

}  // namespace sluice::data
