// Batches in host memory.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::data {

constexpr std::int32_t kIgnoredTarget = -1;  // this position is not scored

// inputs [num_sequences, input_length] and targets [num_sequences, target_length], row-major.
// Causal language modeling: both lengths are equal, and targets[b][t] is the token after
// inputs[b][0..t]. Encoder-decoder: targets[b] is the decoder's output for the whole of inputs[b].
struct Batch {
  std::int64_t num_sequences = 0;
  std::int64_t input_length = 0, target_length = 0;
  std::vector<std::int32_t> inputs{};
  std::vector<std::int32_t> targets{};
  std::int64_t num_targets = 0;  // targets other than kIgnoredTarget
  Batch rows(std::int64_t begin, std::int64_t count) const;
  // Micro-batches of `size` sequences; the last may be smaller.
  std::vector<Batch> split(std::int64_t size) const;
};

}  // namespace sluice::data
