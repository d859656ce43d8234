// Causal self-attention from the packed projections, rotary positions included.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"

namespace sluice::ops {

struct AttentionShape {
  std::int64_t num_heads = 1;
  std::int64_t num_kv_heads = 1;  // divides num_heads: grouped queries (Ainslie et al. 2023)
  std::int64_t head_dim = 64;
  std::int64_t packed_columns() const { return (num_heads + 2 * num_kv_heads) * head_dim; }
};

// Rotary position embedding (Su et al. 2021), half-split form: element i of the first half of a head turns with element i of the second,
// by the angle position · theta^(−2i/head_dim). cos and sin: fp32 [T, head_dim/2]; undefined tensors: no rotation.
struct Rotary {
  at::Tensor cos, sin;
  static Rotary make(std::int64_t length, std::int64_t head_dim, double theta, at::Device device);
  bool defined() const { return cos.defined(); }
};

// qkv [B, T, (num_heads + 2·num_kv_heads)·head_dim], heads of q first, then k, then v
//   -> softmax(causal(q kᵀ / sqrt(head_dim))) v, [B, T, num_heads·head_dim]; dtype as the input, softmax in fp32.
at::Tensor causal_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary, const Context& context);

}  // namespace sluice::ops
