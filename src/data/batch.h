// Batches in host memory.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::data {

constexpr std::int32_t kIgnoredTarget = -1;  // this position is not scored

// inputs [num_sequences, input_length] and targets [num_sequences, target_length], row-major. Causal language modelling: both lengths are
// the same, and targets[b][t] is what should follow inputs[b][0..t]. Encoder-decoder: targets[b] is what the decoder should write, having read
// all of inputs[b].
struct Batch {
  std::int64_t num_sequences = 0;
  std::int64_t input_length = 0, target_length = 0;
  std::vector<std::int32_t> inputs{};
  std::vector<std::int32_t> targets{};
  std::int64_t num_targets = 0;                              // targets that are not kIgnoredTarget
  Batch rows(std::int64_t begin, std::int64_t count) const;  // a micro-batch
  std::vector<Batch> split(std::int64_t size) const;         // into micro-batches of `size` sequences; the last may have fewer
};

}  // namespace sluice::data
