#include <algorithm>

#include "base/error.h"
#include "data/causal_batches.h"

namespace sluice::data {

// Positions here include the start token, if there is one: input p predicts position p + 1. Window
// k has the inputs k·S … k·S+L−1 and scores the targets that no earlier window has: L in the first
// window, S in each later one, the remainder in the last.

EvaluationWindows::EvaluationWindows(const TokenStream& stream, Settings settings)
    : stream_(stream), settings_(settings) {
  invariant(settings.sequence_length > 0 && settings.batch_sequences > 0,
            "empty evaluation windows");
  invariant(settings.stride > 0 && settings.stride <= settings.sequence_length,
            "stride must be from 1 to sequence_length");
  const auto length = static_cast<std::uint64_t>(settings.sequence_length),
             stride = static_cast<std::uint64_t>(settings.stride);
  const std::uint64_t num_positions = stream.num_tokens() + (settings.start >= 0 ? 1 : 0);
  num_all_targets_ = num_positions == 0 ? 0 : num_positions - 1;
  if (num_all_targets_ == 0) return;
  const auto windows_for = [&](std::uint64_t targets) {
    return targets <= length ? 1 : 1 + (targets - length + stride - 1) / stride;
  };
  num_all_windows_ = windows_for(num_all_targets_);
  const bool limited = settings.max_tokens > 0 && settings.max_tokens < num_all_targets_;
  num_windows_ =
      limited ? std::min(windows_for(settings.max_tokens), num_all_windows_) : num_all_windows_;
  budget_ = limited ? settings.max_tokens : num_all_targets_;
}

EvaluationWindows::Scored EvaluationWindows::scored(std::uint64_t row) const {
  const auto length = static_cast<std::uint64_t>(settings_.sequence_length),
             stride = static_cast<std::uint64_t>(settings_.stride);
  // Spread evenly: row j of n takes window floor(j·all/n), so that row 0 is always window 0.
  const auto window = static_cast<std::uint64_t>(static_cast<unsigned __int128>(row) *
                                                 num_all_windows_ / num_windows_);
  const std::uint64_t first = std::min(length, num_all_targets_);
  const std::uint64_t begin = window == 0 ? 0 : first + (window - 1) * stride;
  const std::uint64_t own = window == 0 ? first : std::min(stride, num_all_targets_ - begin);
  // scored by earlier rows
  const std::uint64_t before = row == 0 ? 0 : first + (row - 1) * stride;
  return {.window = window,
          .begin = begin,
          .count = before >= budget_ ? 0 : std::min(own, budget_ - before)};
}

std::uint64_t EvaluationWindows::num_targets() const {
  if (num_windows_ == 0) return 0;
  if (num_windows_ == 1) return scored(0).count;
  const std::uint64_t first = scored(0).count;
  const auto stride = static_cast<std::uint64_t>(settings_.stride);
  return first + (num_windows_ - 2) * stride + scored(num_windows_ - 1).count;
}

std::uint64_t EvaluationWindows::num_batches() const {
  const auto rows = static_cast<std::uint64_t>(settings_.batch_sequences);
  return (num_windows_ + rows - 1) / rows;
}

void EvaluationWindows::fill_row(std::uint64_t row, std::span<std::int32_t> inputs,
                                 std::span<std::int32_t> targets) const {
  const Scored part = scored(row);
  const std::uint64_t origin = part.window * static_cast<std::uint64_t>(settings_.stride);
  const std::uint64_t num_inputs =
      std::min<std::uint64_t>(inputs.size(), num_all_targets_ - origin);
  // the start token shifts the stream by one
  const std::uint64_t start = settings_.start >= 0 ? 1 : 0;
  // positions origin … origin + num_inputs
  std::vector<std::int32_t> tokens(num_inputs + 1);
  const std::uint64_t shift = origin == 0 ? start : 0;
  if (shift == 1) tokens[0] = settings_.start;
  stream_.read(origin + shift - start, std::span(tokens).subspan(shift));
  std::copy_n(tokens.begin(), num_inputs, inputs.begin());
  for (std::uint64_t i = part.begin - origin; i < part.begin - origin + part.count; ++i)
    targets[i] = tokens[i + 1];
}

std::uint64_t EvaluationWindows::num_rows(std::uint64_t index) const {
  invariant(index < num_batches(), "evaluation batch out of range");
  const auto rows = static_cast<std::uint64_t>(settings_.batch_sequences);
  return std::min(rows, num_windows_ - index * rows);
}

Batch EvaluationWindows::batch(std::uint64_t index) const {
  const std::uint64_t count = num_rows(index),
                      first = index * static_cast<std::uint64_t>(settings_.batch_sequences);
  const auto length = static_cast<std::size_t>(settings_.sequence_length);
  Batch batch{.num_sequences = static_cast<std::int64_t>(count),
              .input_length = settings_.sequence_length,
              .target_length = settings_.sequence_length};
  batch.inputs.assign(count * length, 0);  // after the end of the stream: any id, never scored
  batch.targets.assign(count * length, kIgnoredTarget);
  for (std::uint64_t row = 0; row < count; ++row) {
    fill_row(first + row, std::span(batch.inputs).subspan(row * length, length),
             std::span(batch.targets).subspan(row * length, length));
    batch.num_targets += static_cast<std::int64_t>(scored(first + row).count);
  }
  return batch;
}

std::vector<std::uint32_t> EvaluationWindows::documents_of(std::uint64_t index) const {
  const std::uint64_t count = num_rows(index),
                      first = index * static_cast<std::uint64_t>(settings_.batch_sequences);
  const auto length = static_cast<std::uint64_t>(settings_.sequence_length);
  std::vector<std::uint32_t> documents(count * length, kNoDocument);
  for (std::uint64_t row = 0; row < count; ++row) {
    const Scored part = scored(first + row);
    const std::uint64_t column =
        part.begin - part.window * static_cast<std::uint64_t>(settings_.stride);
    // position in the stream, without the start token
    const std::uint64_t token = part.begin + (settings_.start >= 0 ? 0 : 1);
    stream_.documents(token, std::span(documents).subspan(row * length + column, part.count));
  }
  return documents;
}

}  // namespace sluice::data
