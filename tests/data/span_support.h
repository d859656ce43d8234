// Helpers for tests of span corruption: streams whose tokens encode their position, and
// reconstruction of a segment from a row.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <span>
#include <vector>

#include "data/span_corruption.h"

namespace sluice::testing {

inline constexpr std::int64_t kPieces = 1'000'000;

inline data::SpanCorruptionConfig span_config(std::int64_t input_length, double density = 0.15,
                                              double mean = 3) {
  data::SpanCorruptionConfig config;
  config.input_length = input_length;
  config.noise_density = density;
  config.mean_span_length = mean;
  return config;
}

// Rules for counting_stream(): the token at position p is p + 1, the end token is 0.
inline data::SpanRules rules_for(const data::SpanCorruptionConfig& config) {
  return {.shape = data::span_shape_for(config),
          .num_pieces = kPieces,
          .num_sentinels = config.sentinels,
          .eos = 0};
}

inline data::TokenStream counting_stream(std::uint64_t num_tokens,
                                         std::vector<std::uint64_t> ends = {}) {
  std::vector<std::int32_t> ids(num_tokens);
  std::iota(ids.begin(), ids.end(), 1);
  return data::TokenStream(std::move(ids), std::move(ends));
}

// Reconstructs the segment from inputs and targets. Adds a test failure if their structure differs
// from span_corruption.h.
inline std::vector<std::int32_t> segment_of(std::span<const std::int32_t> inputs,
                                            std::span<const std::int32_t> targets,
                                            const data::SpanRules& rules) {
  std::vector<std::int32_t> segment;
  std::int32_t sentinel = static_cast<std::int32_t>(rules.vocab_size()) - 1;
  auto target = targets.begin();
  EXPECT_EQ(inputs.back(), rules.eos);
  for (const std::int32_t id : inputs.first(inputs.size() - 1)) {
    if (id < rules.num_pieces) {
      segment.push_back(id);
      continue;
    }
    EXPECT_EQ(id, sentinel);
    EXPECT_EQ(*target++, sentinel--) << "wrong sentinel in the targets";
    const auto begin = target;
    while (*target != rules.eos && *target < rules.num_pieces) segment.push_back(*target++);
    EXPECT_NE(target, begin) << "a span without tokens";
  }
  EXPECT_EQ(target, targets.end() - 1);
  EXPECT_EQ(*target, rules.eos);
  EXPECT_GE(*(inputs.end() - 2), rules.num_pieces) << "the last span is not noise";
  EXPECT_LT(inputs.front(), rules.num_pieces) << "the first span is noise";
  return segment;
}

// The start positions, in a counting stream, of the segments of a batch.
inline std::vector<std::uint64_t> begins_of(const data::Batch& batch,
                                            const data::SpanRules& rules) {
  EXPECT_EQ(batch.input_length, rules.shape.input_length());
  EXPECT_EQ(batch.target_length, rules.shape.target_length());
  EXPECT_EQ(batch.num_targets, batch.num_sequences * batch.target_length);
  std::vector<std::uint64_t> begins;
  const auto num_inputs = static_cast<std::size_t>(batch.input_length),
             num_targets = static_cast<std::size_t>(batch.target_length);
  for (std::size_t row = 0; row < static_cast<std::size_t>(batch.num_sequences); ++row) {
    const std::vector<std::int32_t> segment =
        segment_of(std::span(batch.inputs).subspan(row * num_inputs, num_inputs),
                   std::span(batch.targets).subspan(row * num_targets, num_targets), rules);
    EXPECT_EQ(segment.size(), static_cast<std::size_t>(rules.shape.segment_length));
    for (std::size_t i = 1; i < segment.size(); ++i)
      EXPECT_EQ(segment[i], segment[0] + static_cast<std::int32_t>(i));
    begins.push_back(static_cast<std::uint64_t>(segment.at(0) - 1));
  }
  return begins;
}

}  // namespace sluice::testing
