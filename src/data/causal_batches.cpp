#include "data/causal_batches.h"

#include "base/error.h"
#include "base/text_format.h"
#include "data/window_order.h"

namespace sluice::data {

CausalBatches::CausalBatches(const TokenStream& stream, Settings settings)
    : stream_(stream), settings_(settings) {
  invariant(settings.batch_sequences > 0 && settings.sequence_length > 0, "empty batches");
  const auto length = static_cast<std::uint64_t>(settings.sequence_length);
  num_windows_ = stream.num_tokens() == 0 ? 0 : (stream.num_tokens() - 1) / length;
  if (num_windows_ == 0) {
    fail(ExitCode::kBadData, "train.sequence_length",
         cat(length, " for a training split of ",
             count_of(static_cast<std::int64_t>(stream.num_tokens()), "token")),
         "at most one less than the number of training tokens, or more text");
  }
}

std::uint64_t CausalBatches::window_at(std::uint64_t step, std::int64_t row) const {
  invariant(row >= 0 && row < settings_.batch_sequences, "row outside the batch");
  const std::uint64_t position = step * static_cast<std::uint64_t>(settings_.batch_sequences) +
                                 static_cast<std::uint64_t>(row);
  return window_in_order(settings_.seed, num_windows_, position);
}

std::uint64_t CausalBatches::num_dropped_tokens() const {
  return stream_.num_tokens() - 1 -
         num_windows_ * static_cast<std::uint64_t>(settings_.sequence_length);
}

Batch CausalBatches::batch(std::uint64_t step) const {
  const auto length = static_cast<std::size_t>(settings_.sequence_length);
  Batch batch{.num_sequences = settings_.batch_sequences,
              .input_length = settings_.sequence_length,
              .target_length = settings_.sequence_length};
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
