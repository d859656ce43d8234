// Batches for causal language modeling.
//
// The stream is cut into non-overlapping windows of T = sequence_length targets: window w predicts
// tokens w·T+1 … w·T+T from w·T … w·T+T−1. A tail shorter than one window is dropped
// (num_dropped_tokens). Step s takes the B = batch_sequences windows s·B … s·B+B−1 of an endless
// sequence of epochs; each epoch is a permutation of all windows, keyed by (seed, epoch).
#pragma once

#include <cstdint>
#include <span>

#include "data/batch_source.h"
#include "data/token_stream.h"

namespace sluice::data {

class CausalBatches final : public TrainingBatches {
 public:
  struct Settings {
    std::uint64_t seed = 1;
    std::int64_t batch_sequences = 16;
    std::int64_t sequence_length = 256;
  };
  // kBadData if the stream is shorter than one window.
  CausalBatches(const TokenStream& stream, Settings settings);  // keeps a reference
  Batch batch(std::uint64_t step) const override;
  std::uint64_t windows_per_epoch() const override { return num_windows_; }
  std::uint64_t window_at(std::uint64_t step, std::int64_t row) const;
  std::uint64_t num_dropped_tokens() const override;

 private:
  const TokenStream& stream_;
  Settings settings_;
  std::uint64_t num_windows_ = 0;
};

// Windows of the held-out set: every token of the stream is a target exactly once. Window k starts
// at position k·stride and scores only the targets that no earlier window scores. `start` (the end
// token), if given, precedes the first token of the stream, so that it is scored too.
class EvaluationWindows final : public EvaluationBatches {
 public:
  struct Settings {
    std::int64_t sequence_length = 256;
    std::int64_t stride = 256;  // 1 … sequence_length
    std::int64_t batch_sequences = 16;
    std::uint64_t max_tokens = 0;  // targets; 0: all. Spread evenly over the stream, deterministic
    std::int32_t start = -1;       // -1: none
  };
  EvaluationWindows(const TokenStream& stream, Settings settings);
  std::uint64_t num_batches() const override;
  Batch batch(std::uint64_t index) const override;
  std::uint64_t num_targets() const override;
  bool is_whole() const override { return budget_ == num_all_targets_; }
  std::uint64_t num_dropped_tokens() const override { return 0; }
  std::uint64_t num_documents() const override { return stream_.num_documents(); }
  // The document of the predicted token; a separator belongs to the document it ends. kNoDocument
  // for targets that are not scored.
  std::vector<std::uint32_t> documents_of(std::uint64_t index) const override;

 private:
  // The window in one row of the evaluation (counted over all batches) scores `count` targets of
  // the stream, starting at target `begin`.
  struct Scored {
    std::uint64_t window = 0, begin = 0, count = 0;
  };
  Scored scored(std::uint64_t row) const;
  std::uint64_t num_rows(std::uint64_t index) const;  // of a batch
  void fill_row(std::uint64_t row, std::span<std::int32_t> inputs,
                std::span<std::int32_t> targets) const;

  const TokenStream& stream_;
  Settings settings_;
  std::uint64_t num_all_targets_ = 0, num_all_windows_ = 0;  // without a limit
  std::uint64_t num_windows_ = 0, budget_ = 0;               // under max_tokens
};

}  // namespace sluice::data
