// Self-attention and cross-attention on packed projections, with optional rotary positions and
// relative bias.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"
#include "ops/dropout.h"

namespace sluice::ops {

struct AttentionShape {
  std::int64_t num_heads = 1;
  std::int64_t num_kv_heads = 1;  // divides num_heads: grouped queries (Ainslie et al. 2023)
  std::int64_t head_dim = 64;
  std::int64_t query_columns() const { return num_heads * head_dim; }
  std::int64_t key_value_columns() const { return 2 * num_kv_heads * head_dim; }
  std::int64_t packed_columns() const { return query_columns() + key_value_columns(); }
};

// Rotary position embedding (Su et al. 2021), half-split layout: element i of the first half of a
// head and element i of the second half are rotated by the angle position · theta^(−2i/head_dim).
// cos and sin: fp32 [T, head_dim/2]; undefined tensors: no rotation.
struct Rotary {
  at::Tensor cos, sin;
  static Rotary make(std::int64_t length, std::int64_t head_dim, double theta, at::Device device);
  bool defined() const { return cos.defined(); }
};

struct AttentionInputs {
  // [B, T, query_columns]; if kv is undefined, [B, T, packed_columns]: heads of q, then of k and v
  at::Tensor q;
  // Cross-attention: [B, S, key_value_columns], heads of k, then heads of v
  at::Tensor kv;
  Rotary rotary;  // applied to q and k
  // Added to the scores: [num_heads, T + S − 1] from ops/relative_bias.h; undefined: no bias
  at::Tensor bias_HR;
  // True: q and kv have no other reader, and the rotation may be done in their memory
  bool may_overwrite = false;
};

struct AttentionRule {
  bool causal = false;   // a query attends to keys up to its own position; requires T = S
  double divisor = 1;    // of q kᵀ
  Dropout dropout = {};  // of the attention probabilities
};

// softmax(mask(q kᵀ / divisor + bias)) v -> [B, T, query_columns] in the input dtype. The softmax
// is computed in fp32.
at::Tensor attention(const AttentionInputs& inputs, const AttentionShape& shape,
                     const AttentionRule& rule, const Context& context);

// Causal self-attention with divisor sqrt(head_dim).
at::Tensor causal_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape,
                            const Rotary& rotary, const Context& context);

}  // namespace sluice::ops
