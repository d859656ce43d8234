// Shapes: B sequences, T positions, E packed columns, H query heads, K key/value heads, G = H/K queries per key head, D head width.
#include "ops/attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "ops/attention_forms.h"
#include "ops/choose.h"
#include "ops/tiled_product.h"

namespace sluice::ops {
namespace {

// x [B, T, heads, D]; cos and sin [T, 1, D/2].
at::Tensor rotate(const at::Tensor& x, const Rotary& rotary, std::int64_t length) {
  if (!rotary.defined()) return x;
  const at::Tensor cos = rotary.cos.narrow(0, 0, length).unsqueeze(1), sin = rotary.sin.narrow(0, 0, length).unsqueeze(1);
  const std::vector<at::Tensor> halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

void check(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary) {
  invariant(shape.num_kv_heads > 0 && shape.num_heads % shape.num_kv_heads == 0, "key heads divide query heads");
  invariant(qkv_BTE.dim() == 3 && qkv_BTE.size(2) == shape.packed_columns(), "attention reads [B, T, packed columns]");
  if (!rotary.defined()) return;
  invariant(rotary.cos.size(0) >= qkv_BTE.size(1) && 2 * rotary.cos.size(1) == shape.head_dim,
            "the rotary table covers every position and half of the head width");
}

enum class Choice { kReference, kLibrary, kTiled };

Choice choose(const at::Tensor& qkv_BTE, const Context& context) {
  if (!choose_fused(qkv_BTE, context)) return Choice::kReference;
  return qkv_BTE.is_cpu() && has_tile_kernel() ? Choice::kTiled : Choice::kLibrary;
}

}  // namespace

at::Tensor reference_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary) {
  const std::int64_t B = qkv_BTE.size(0), T = qkv_BTE.size(1), D = shape.head_dim, K = shape.num_kv_heads, G = shape.num_heads / K;
  const at::ScalarType precise = qkv_BTE.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor heads = qkv_BTE.to(precise).view({B, T, shape.num_heads + 2 * K, D});
  const at::Tensor q_BKGTD = rotate(heads.narrow(2, 0, K * G), rotary, T).view({B, T, K, G, D}).permute({0, 2, 3, 1, 4});
  const at::Tensor k_BK1TD = rotate(heads.narrow(2, K * G, K), rotary, T).permute({0, 2, 1, 3}).unsqueeze(2);
  const at::Tensor v_BK1TD = heads.narrow(2, K * G + K, K).permute({0, 2, 1, 3}).unsqueeze(2);
  const at::Tensor future = at::ones({T, T}, qkv_BTE.options().dtype(at::kBool)).triu(1);
  const at::Tensor scores = at::matmul(q_BKGTD, k_BK1TD.transpose(-2, -1)) / std::sqrt(static_cast<double>(D));
  const at::Tensor weights = at::softmax(scores.masked_fill(future, -std::numeric_limits<double>::infinity()), -1);
  const at::Tensor mixed = at::matmul(weights, v_BK1TD);
  return mixed.permute({0, 3, 1, 2, 4}).reshape({B, T, shape.num_heads * D}).to(qkv_BTE.scalar_type());
}

at::Tensor library_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary) {
  const std::int64_t B = qkv_BTE.size(0), T = qkv_BTE.size(1), D = shape.head_dim, H = shape.num_heads, K = shape.num_kv_heads;
  const at::Tensor heads = qkv_BTE.view({B, T, H + 2 * K, D});
  const auto turned = [&](std::int64_t first, std::int64_t num) {
    return rotate(heads.narrow(2, first, num), rotary, T).to(qkv_BTE.scalar_type()).transpose(1, 2);
  };
  const at::Tensor v_BKTD = heads.narrow(2, H + K, K).transpose(1, 2);
  const at::Tensor mixed = at::scaled_dot_product_attention(turned(0, H), turned(H, K), v_BKTD, {}, 0.0, /*is_causal=*/true, std::nullopt,
                                                            /*enable_gqa=*/H != K);
  return mixed.transpose(1, 2).reshape({B, T, H * D});
}

Rotary Rotary::make(std::int64_t length, std::int64_t head_dim, double theta, at::Device device) {
  invariant(head_dim > 0 && head_dim % 2 == 0, "rotary positions need an even head width");
  const at::TensorOptions precise = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor frequencies = at::pow(theta, at::arange(0, head_dim, 2, precise) / -static_cast<double>(head_dim));
  const at::Tensor angles = at::outer(at::arange(length, precise), frequencies);
  return {at::cos(angles).to(at::kFloat).to(device), at::sin(angles).to(at::kFloat).to(device)};
}

at::Tensor causal_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary, const Context& context) {
  check(qkv_BTE, shape, rotary);
  switch (choose(qkv_BTE, context)) {
    case Choice::kTiled:
      return tiled_attention(qkv_BTE, shape, rotary);
    case Choice::kLibrary:
      return library_attention(qkv_BTE, shape, rotary);
    default:
      return reference_attention(qkv_BTE, shape, rotary);
  }
}

}  // namespace sluice::ops
