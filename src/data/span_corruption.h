// Span corruption (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", 3.1.4; lengths
// as in T5's random_spans_helper).
//
// A segment of n raw tokens is divided into alternating kept and noise spans, starting with a kept
// span and ending with a noise span:
//   noise   = round(n·noise_density)               at least 1, halves to even
//   spans   = round(noise / mean_span_length)      at least 1, halves to even; k below
//   kept    = n − noise
//   inputs  = kept₁ s₁ kept₂ s₂ … sₖ eos           kept + spans + 1 ids
//   targets = s₁ noise₁ s₂ noise₂ … sₖ noiseₖ eos  noise + spans + 1 ids
//   sᵢ      = pieces + sentinels − i, i from 1     sentinel ids, after the tokenizer's pieces
// The lengths of the noise spans are a uniformly random composition of `noise` into k positive
// parts, and those of the kept spans one of `kept`. n is the largest value whose inputs have
// input_length ids; the length is exact, without padding. (T5 takes one token less at a density of
// exactly 0.5; Sluice does not.)
//
// Segments are non-overlapping windows of the raw stream; a tail shorter than one segment is
// dropped and counted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch_source.h"
#include "data/objective_config.h"
#include "data/span_rules.h"
#include "data/token_stream.h"

namespace sluice::text {
class Tokenizer;
}

namespace sluice::data {

// `segment_length`: at least 2.
SpanShape span_shape(std::int64_t segment_length, const SpanCorruptionConfig& config);
// The shape of the largest segment whose inputs have config.input_length ids.
SpanShape span_shape_for(const SpanCorruptionConfig& config);
inline std::int64_t segment_length_for(const SpanCorruptionConfig& config) {
  return span_shape_for(config).segment_length;
}

// A uniformly random composition of `total` into `num_parts` positive parts: 1 ≤ num_parts ≤ total.
// Uses the values first_draw … first_draw + total − 2 of the random stream `key`.
std::vector<std::int64_t> random_composition(std::int64_t total, std::int64_t num_parts,
                                             std::uint64_t key, std::uint64_t first_draw);

// Lengths of the spans of a segment, in the order kept[0], noise[0], kept[1], noise[1], …
struct Spans {
  std::vector<std::int64_t> kept, noise;
};
// A pure function of the key.
Spans random_spans(const SpanShape& shape, std::uint64_t key);

// kUsage if there are more spans than sentinels (objective.sentinels) or than kept tokens
// (objective.mean_span_length), or if the tokenizer has no end token.
SpanRules span_rules(const SpanCorruptionConfig& config, const text::Tokenizer& tokenizer);

// Writes the inputs and targets of a segment. The lengths of all three are those of rules.shape.
void corrupt(std::span<const std::int32_t> segment, const Spans& spans, const SpanRules& rules,
             std::span<std::int32_t> inputs, std::span<std::int32_t> targets);

// Step s takes the B = batch_sequences segments s·B … s·B+B−1 of the endless sequence of epochs
// (data/window_order.h). The spans of a row are keyed by (seed, step, row).
class SpanCorruptionBatches final : public TrainingBatches {
 public:
  struct Settings {
    std::uint64_t seed = 1;
    std::int64_t batch_sequences = 16;
    SpanRules rules;
  };
  // kBadData if the stream is shorter than one segment.
  SpanCorruptionBatches(const TokenStream& stream, Settings settings);  // keeps a reference
  Batch batch(std::uint64_t step) const override;
  std::uint64_t windows_per_epoch() const override { return num_segments_; }
  std::uint64_t num_dropped_tokens() const override;
  std::uint64_t segment_at(std::uint64_t step, std::int64_t row) const;
  Spans spans_at(std::uint64_t step, std::int64_t row) const;

 private:
  const TokenStream& stream_;
  Settings settings_;
  std::uint64_t num_segments_ = 0;
};

// All whole segments of the held-out stream, in order. Spans depend only on the segment's index.
class SpanCorruptionEvaluation final : public EvaluationBatches {
 public:
  struct Settings {
    std::int64_t batch_sequences = 16;
    // At most this many targets, but at least one segment; 0: all. Whole segments, spread evenly
    // over the stream, deterministic.
    std::uint64_t max_tokens = 0;
    SpanRules rules;
  };
  // kBadData if the stream has tokens, but fewer than one segment.
  SpanCorruptionEvaluation(const TokenStream& stream, Settings settings);  // keeps a reference
  std::uint64_t num_batches() const override;
  Batch batch(std::uint64_t index) const override;
  std::uint64_t num_targets() const override;
  bool is_whole() const override { return num_chosen_ == num_segments_; }
  std::uint64_t num_dropped_tokens() const override;
  std::uint64_t num_documents() const override { return stream_.num_documents(); }
  // A noise token belongs to its own document, a sentinel to that of its span's first token, and
  // the end token to that of the segment's last token.
  std::vector<std::uint32_t> documents_of(std::uint64_t index) const override;

 private:
  std::uint64_t num_rows(std::uint64_t index) const;  // of a batch
  std::uint64_t segment_at(std::uint64_t row) const;  // `row` counts over all batches

  const TokenStream& stream_;
  Settings settings_;
  std::uint64_t num_segments_ = 0, num_chosen_ = 0;  // without and under max_tokens
};

}  // namespace sluice::data
