// Attention from packed projections: of a sequence on itself or on another one, with rotary positions or a relative bias.
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

// Rotary position embedding (Su et al. 2021), half-split form: element i of the first half of a head turns with element i of the second,
// by the angle position · theta^(−2i/head_dim). cos and sin: fp32 [T, head_dim/2]; undefined tensors: no rotation.
struct Rotary {
  at::Tensor cos, sin;
  static Rotary make(std::int64_t length, std::int64_t head_dim, double theta, at::Device device);
  bool defined() const { return cos.defined(); }
};

struct AttentionInputs {
  at::Tensor q;        // [B, T, query_columns]; where kv is undefined [B, T, packed_columns]: heads of q first, then k, then v
  at::Tensor kv;       // [B, S, key_value_columns], heads of k first, then v: the sequence attended to, where it is another one
  Rotary rotary;       // turns q and k
  at::Tensor bias_HR;  // added to the scores, [num_heads, T + S − 1] as ops/relative_bias.h makes it; undefined: nothing
};

struct AttentionRule {
  bool causal = false;   // a query sees the keys up to its own position, and T = S
  double divisor = 1;    // of the products of queries and keys
  Dropout dropout = {};  // of the probabilities
};

// softmax(visible(q kᵀ / divisor + bias)) v, [B, T, query_columns]; dtype as the input, softmax in fp32.
at::Tensor attention(const AttentionInputs& inputs, const AttentionShape& shape, const AttentionRule& rule, const Context& context);

// Causal self-attention of a decoder: divisor sqrt(head_dim).
at::Tensor causal_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary, const Context& context);

}  // namespace sluice::ops
