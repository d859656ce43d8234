// Span corruption (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", 3.1.4; lengths as in T5's random_spans_helper).
//
// A segment of n raw tokens becomes kept and noise spans in turn, a kept one first and a noise one last:
//   noise = round(n·noise_density), spans = round(noise / mean_span_length), each at least 1, halves to even; kept = n − noise
//   inputs  = kept₁ s₁ kept₂ s₂ … sₖ eos           kept + spans + 1 ids
//   targets = s₁ noise₁ s₂ noise₂ … sₖ noiseₖ eos  noise + spans + 1 ids
// The sentinels sᵢ are the ids behind the tokenizer's pieces, the first span's the highest: pieces + sentinels − i for i from 1. The
// lengths of the noise spans are one of all compositions of `noise` into k positive parts, all equally likely; the kept ones likewise.
// n is the largest whose inputs have input_length ids, which then is exact: nothing is padded. (T5 takes one token less at a density
// of exactly 0.5; we do not.)
//
// Segments are windows of the raw stream that do not overlap; the tail shorter than one is dropped and counted.
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
inline std::int64_t segment_length_for(const SpanCorruptionConfig& config) { return span_shape_for(config).segment_length; }

// A uniformly random composition of `total` into `num_parts` positive parts: 1 ≤ num_parts ≤ total. Takes the values
// first_draw … first_draw + total − 2 of the stream `key`.
std::vector<std::int64_t> random_composition(std::int64_t total, std::int64_t num_parts, std::uint64_t key, std::uint64_t first_draw);

// Where the spans of a segment lie: kept[0], noise[0], kept[1], noise[1], … tokens.
struct Spans {
  std::vector<std::int64_t> kept, noise;
};
// A pure function of the key.
Spans random_spans(const SpanShape& shape, std::uint64_t key);

// kUsage where there are more spans than sentinels (objective.sentinels), where the tokens that are kept are too few to stand between the
// spans (objective.mean_span_length), or where the tokenizer has no end token.
SpanRules span_rules(const SpanCorruptionConfig& config, const text::Tokenizer& tokenizer);

// Writes the inputs and targets of a segment; all three have the lengths of rules.shape.
void corrupt(std::span<const std::int32_t> segment, const Spans& spans, const SpanRules& rules, std::span<std::int32_t> inputs,
             std::span<std::int32_t> targets);

// Step s takes the batch_sequences segments s·B … s·B+B−1 of the endless sequence of epochs (data/window_order.h). The spans of a row are
// keyed by (seed, step, row).
class SpanCorruptionBatches final : public TrainingBatches {
 public:
  struct Settings {
    std::uint64_t seed = 1;
    std::int64_t batch_sequences = 16;
    SpanRules rules;
  };
  // kBadData where the stream is shorter than one segment.
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

// Every whole segment of the held-out stream, in its order, each with the spans that its place in the stream gives it for ever.
class SpanCorruptionEvaluation final : public EvaluationBatches {
 public:
  struct Settings {
    std::int64_t batch_sequences = 16;
    // At most this many targets, but at least one segment; 0: all. Whole segments, spread evenly over the stream, fixed for ever.
    std::uint64_t max_tokens = 0;
    SpanRules rules;
  };
  // kBadData where the stream has tokens, but fewer than one segment.
  SpanCorruptionEvaluation(const TokenStream& stream, Settings settings);  // keeps a reference
  std::uint64_t num_batches() const override;
  Batch batch(std::uint64_t index) const override;
  std::uint64_t num_targets() const override;
  bool is_whole() const override { return num_chosen_ == num_segments_; }
  std::uint64_t num_dropped_tokens() const override;
  std::uint64_t num_documents() const override { return stream_.num_documents(); }
  // A noise token belongs to its own document, a sentinel to that of its span's first token, the end token to that of the segment's last.
  std::vector<std::uint32_t> documents_of(std::uint64_t index) const override;

 private:
  std::uint64_t num_rows(std::uint64_t index) const;    // of a batch
  std::uint64_t segment_at(std::uint64_t place) const;  // the place-th segment that is scored

  const TokenStream& stream_;
  Settings settings_;
  std::uint64_t num_segments_ = 0, num_chosen_ = 0;  // without and under max_tokens
};

}  // namespace sluice::data
