// Lengths and special ids of span corruption (span_corruption.h).
#pragma once

#include <cstdint>

namespace sluice::data {

// Lengths derived from one segment length.
struct SpanShape {
  std::int64_t segment_length = 0;  // raw tokens
  std::int64_t num_noise = 0;       // raw tokens predicted by the decoder
  std::int64_t num_spans = 0;
  std::int64_t num_kept() const { return segment_length - num_noise; }
  std::int64_t input_length() const { return num_kept() + num_spans + 1; }
  std::int64_t target_length() const { return num_noise + num_spans + 1; }
};

// The shape of all segments of a run, and the sentinel and end ids.
struct SpanRules {
  SpanShape shape;
  std::int64_t num_pieces = 0, num_sentinels = 0;
  std::int32_t eos = 0;
  std::int64_t vocab_size() const { return num_pieces + num_sentinels; }
  // `span`: from 0
  std::int32_t sentinel(std::int64_t span) const {
    return static_cast<std::int32_t>(vocab_size() - 1 - span);
  }
};

}  // namespace sluice::data
