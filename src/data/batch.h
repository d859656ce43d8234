// Batches in host memory.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::data {

constexpr std::int32_t kIgnoredTarget = -1;  // this position is not scored

// inputs and targets are [num_sequences, sequence_length], row-major: targets[b][t] is what should follow inputs[b][0..t].
struct Batch {
  std::int64_t num_sequences = 0;
  std::int64_t sequence_length = 0;
  std::vector<std::int32_t> inputs{};
  std::vector<std::int32_t> targets{};
  std::int64_t num_targets = 0;                              // targets that are not kIgnoredTarget
  Batch rows(std::int64_t begin, std::int64_t count) const;  // a micro-batch
  std::vector<Batch> split(std::int64_t size) const;         // into micro-batches of `size` sequences; the last may have fewer
};

}  // namespace sluice::data
