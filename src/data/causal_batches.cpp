#include "data/causal_batches.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text_format.h"

namespace sluice::data {

namespace {

constexpr int kNumRounds = 8;  // small networks need more than the four that suffice for large ones

}  // namespace

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::uint64_t key) : size_(size), key_(key), half_bits_(1) {
  invariant(size > 0, "a permutation of nothing");
  while (half_bits_ < 32 && (std::uint64_t{1} << (2 * half_bits_)) < size) ++half_bits_;
}

std::uint64_t KeyedPermutation::operator()(std::uint64_t index) const {
  invariant(index < size_, "an index outside the permutation");
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  // The network permutes [0, 4^half_bits), at most four times as many as wanted: walk on along the cycle until inside.
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (std::uint64_t round = 0; round < kNumRounds; ++round) {
      const std::uint64_t mixed = philox(key_, right, round)[0];
      left = std::exchange(right, left ^ (mixed & mask));
    }
    index = left << half_bits_ | right;
  } while (index >= size_);
  return index;
}

CausalBatches::CausalBatches(const TokenStream& stream, Settings settings) : stream_(stream), settings_(settings) {
  invariant(settings.batch_sequences > 0 && settings.sequence_length > 0, "empty batches");
  const auto length = static_cast<std::uint64_t>(settings.sequence_length);
  num_windows_ = stream.num_tokens() == 0 ? 0 : (stream.num_tokens() - 1) / length;
  if (num_windows_ == 0) {
    fail(ExitCode::kBadData, "train.sequence_length", cat(length, ", while the training split has ", stream.num_tokens(), " tokens"),
         "sequences of at most one token less than the split, or more text");
  }
}

std::uint64_t CausalBatches::window_at(std::uint64_t step, std::int64_t row) const {
  invariant(row >= 0 && row < settings_.batch_sequences, "a row outside the batch");
  const std::uint64_t place = step * static_cast<std::uint64_t>(settings_.batch_sequences) + static_cast<std::uint64_t>(row);
  const std::uint64_t epoch = place / num_windows_;
  return KeyedPermutation(num_windows_, random_key(settings_.seed, "order", {epoch}))(place % num_windows_);
}

std::uint64_t CausalBatches::num_dropped_tokens() const {
  return stream_.num_tokens() - 1 - num_windows_ * static_cast<std::uint64_t>(settings_.sequence_length);
}

Batch CausalBatches::batch(std::uint64_t step) const {
  const auto length = static_cast<std::size_t>(settings_.sequence_length);
  Batch batch{
      .num_sequences = settings_.batch_sequences, .input_length = settings_.sequence_length, .target_length = settings_.sequence_length};
  std::vector<std::int32_t> window(length + 1);
  for (std::int64_t row = 0; row < settings_.batch_sequences; ++row) {
    stream_.read(window_at(step, row) * length, window);
    batch.inputs.insert(batch.inputs.end(), window.begin(), window.end() - 1);
    batch.targets.insert(batch.targets.end(), window.begin() + 1, window.end());
  }
  batch.num_targets = static_cast<std::int64_t>(batch.targets.size());
  return batch;
}

}  // namespace sluice::data
