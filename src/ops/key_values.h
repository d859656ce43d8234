// Keys and values of the tokens that a sequence has read, for one attention layer (a KV cache), and
// attention of single queries to them. CPU, fp32. The result of a query has the same bits whatever
// other queries are computed with it (ops/rows.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/attention.h"
#include "ops/rows.h"

namespace sluice::ops {

class KeyValues {
 public:
  // Grows as positions are written; `capacity` of them fit without a copy.
  explicit KeyValues(const AttentionShape& shape, std::int64_t capacity = 0);
  // `key` and `value`: [num_kv_heads · head_dim]; the key is rotated already.
  void write(std::int64_t position, const float* key, const float* value);

 private:
  friend void attend(const struct Queries& queries, const AttentionShape& shape,
                     const struct Scoring& scoring, const Rows& y);
  void grow(std::int64_t capacity);
  std::int64_t key_stride() const { return capacity_ * shape_.head_dim; }  // elements per head
  std::int64_t value_stride() const { return capacity_ * padded_head_; }

  AttentionShape shape_;
  std::int64_t capacity_ = 0;  // positions, a multiple of the lanes
  std::int64_t padded_head_;   // elements per stored value: head_dim rounded up to the lanes
  std::vector<float> keys_, values_;
};

// Rotates the heads of a row by the angles of `position` (see Rotary). InvariantError if the table
// is shorter.
void rotate_heads(float* heads, std::int64_t num_heads, const Rotary& rotary,
                  std::int64_t position);

// Query n is x.row(n)[0 … query_columns).
struct Queries {
  Rows x;
  std::span<KeyValues* const> cache;        // of each query
  std::span<const std::int64_t> num_keys;   // that each query attends to, at least 1
  std::span<const std::int64_t> positions;  // of each query; for the relative bias only
};
struct Scoring {
  double divisor = 1;  // of q kᵀ
  // Added to the scores: [num_heads, R], column (R − 1)/2 + key position − query position, as
  // relative_bias() of (R + 1)/2 queries and keys; undefined: none.
  at::Tensor bias_HR = {};
};
// softmax(q kᵀ / divisor + bias) v -> y [N, query_columns].
void attend(const Queries& queries, const AttentionShape& shape, const Scoring& scoring,
            const Rows& y);

}  // namespace sluice::ops
