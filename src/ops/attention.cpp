// Shapes: B sequences, T queries, S keys, E packed columns, H query heads, K key/value heads,
// G = H/K query heads per key head, D head_dim, R = T + S − 1 distances.
#include "ops/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "ops/attention_forms.h"
#include "ops/choose.h"
#include "ops/packed_heads.h"
#include "ops/portable.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x [B, T, heads, D]; cos and sin [T, 1, D/2].
at::Tensor rotate(const at::Tensor& x, const Rotary& rotary, std::int64_t length) {
  if (!rotary.defined()) return x;
  const at::Tensor cos = rotary.cos.narrow(0, 0, length).unsqueeze(1),
                   sin = rotary.sin.narrow(0, 0, length).unsqueeze(1);
  const std::vector<at::Tensor> halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

void check(const AttentionInputs& in, const AttentionShape& shape, const AttentionRule& rule) {
  invariant(shape.num_kv_heads > 0 && shape.num_heads % shape.num_kv_heads == 0,
            "num_kv_heads divides num_heads");
  const std::int64_t columns = in.kv.defined() ? shape.query_columns() : shape.packed_columns();
  invariant(in.q.dim() == 3 && in.q.size(2) == columns,
            "attention input is [B, T, packed columns]");
  if (in.kv.defined()) {
    invariant(in.kv.dim() == 3 && in.kv.size(0) == in.q.size(0) &&
                  in.kv.size(2) == shape.key_value_columns(),
              "keys and values are [B, S, packed columns]");
    invariant(in.kv.scalar_type() == in.q.scalar_type(),
              "queries, keys and values have the same dtype");
  }
  const std::int64_t T = in.q.size(1), S = in.kv.defined() ? in.kv.size(1) : T;
  invariant(!rule.causal || T == S, "causal attention has as many keys as queries");
  invariant(
      !in.bias_HR.defined() || (in.bias_HR.dim() == 2 && in.bias_HR.size(0) == shape.num_heads &&
                                in.bias_HR.size(1) == T + S - 1),
      "a relative bias is [num_heads, T + S - 1]");
  if (!in.rotary.defined()) return;
  invariant(in.rotary.cos.size(0) >= std::max(T, S) && 2 * in.rotary.cos.size(1) == shape.head_dim,
            "rotary tables are [at least max(T, S), head_dim / 2]");
}

// The bias of every query-key pair, [H, T, S]: row t starts at column T − 1 − t.
at::Tensor expanded_bias(const at::Tensor& bias_HR, std::int64_t num_keys) {
  return bias_HR.unfold(1, num_keys, 1).flip({1});
}

// Scores plus expanded_bias(); in portable arithmetic its gradient is summed in the order of
// sequences, queries and keys.
struct OrderedBias : torch::autograd::Function<OrderedBias> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& scores_BHTS,
                            const at::Tensor& bias_HR) {
    return scores_BHTS + expanded_bias(bias_HR, scores_BHTS.size(3));
  }
  static variable_list backward(AutogradContext*, variable_list gradients) {
    const at::Tensor dy_BHTS = gradients[0].contiguous();
    const std::int64_t B = dy_BHTS.size(0), H = dy_BHTS.size(1), T = dy_BHTS.size(2),
                       S = dy_BHTS.size(3), R = T + S - 1;
    const at::Tensor dbias_HR = at::zeros({H, R}, dy_BHTS.options());
    at::parallel_for(0, H, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t h = begin; h < end; ++h)
        for (std::int64_t b = 0; b < B; ++b)
          for (std::int64_t t = 0; t < T; ++t) {
            const float* from = read<float>(dy_BHTS) + ((b * H + h) * T + t) * S;
            float* to = write<float>(dbias_HR) + h * R + T - 1 - t;
            for (std::int64_t s = 0; s < S; ++s) to[s] += from[s];
          }
    });
    return {gradients[0], dbias_HR};
  }
};

at::Tensor with_bias(const at::Tensor& scores_BKGTS, const at::Tensor& bias_HR) {
  const std::int64_t S = scores_BKGTS.size(4);
  if (is_portable(scores_BKGTS))
    return OrderedBias::apply(scores_BKGTS.flatten(1, 2), bias_HR).view_as(scores_BKGTS);
  return scores_BKGTS + expanded_bias(bias_HR, S).view(scores_BKGTS.sizes().slice(1));
}

at::Tensor future_mask(std::int64_t length, const at::Tensor& like) {
  return at::ones({length, length}, like.options().dtype(at::kBool)).triu(1);
}

enum class Implementation { kReference, kLibrary, kTiled, kGpu };

Implementation choose(const AttentionInputs& in, const AttentionRule& rule,
                      const Context& context) {
  if (!use_fused(in.q, context) || reduces_in_bf16(in.q.scalar_type(), context))
    return Implementation::kReference;
  if (gpu_for(in.q, context) != nullptr) return Implementation::kGpu;
  if (rule.dropout.active(context)) return Implementation::kReference;
  return in.q.is_cpu() ? Implementation::kTiled : Implementation::kLibrary;
}

}  // namespace

at::Tensor reference_attention(const AttentionInputs& in, const AttentionShape& shape,
                               const AttentionRule& rule, const Context& context) {
  const std::int64_t B = in.q.size(0), T = in.q.size(1), D = shape.head_dim, K = shape.num_kv_heads,
                     G = shape.num_heads / K;
  const at::ScalarType precise = in.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const HeadViews heads =
      heads_of(in.q.to(precise), in.kv.defined() ? in.kv.to(precise) : in.kv, shape);
  const std::int64_t S = heads.k.size(1);
  const at::Tensor q_BKGTD =
      rotate(heads.q, in.rotary, T).view({B, T, K, G, D}).permute({0, 2, 3, 1, 4});
  const at::Tensor k_BK1SD = rotate(heads.k, in.rotary, S).permute({0, 2, 1, 3}).unsqueeze(2);
  const at::Tensor v_BK1SD = heads.v.permute({0, 2, 1, 3}).unsqueeze(2);
  at::Tensor scores = portable_matmul(q_BKGTD, k_BK1SD.transpose(-2, -1)) / rule.divisor;
  if (in.bias_HR.defined()) scores = with_bias(scores, in.bias_HR);
  if (rule.causal)
    scores = scores.masked_fill(future_mask(T, in.q), -std::numeric_limits<double>::infinity());
  const at::Tensor weights =
      portable_softmax(scores.to(type_of_reductions(in.q, context))).to(precise);
  const at::Tensor output = portable_matmul(dropout(weights, rule.dropout, context), v_BK1SD);
  return output.permute({0, 3, 1, 2, 4})
      .reshape({B, T, shape.num_heads * D})
      .to(in.q.scalar_type());
}

at::Tensor library_attention(const AttentionInputs& in, const AttentionShape& shape,
                             const AttentionRule& rule) {
  const std::int64_t B = in.q.size(0), T = in.q.size(1);
  const HeadViews heads = heads_of(in.q, in.kv, shape);
  const auto rotated = [&](const at::Tensor& x) {
    return rotate(x, in.rotary, x.size(1)).to(in.q.scalar_type()).transpose(1, 2);
  };
  std::optional<at::Tensor> mask;
  if (in.bias_HR.defined()) {
    at::Tensor bias_HTS = expanded_bias(in.bias_HR, heads.k.size(1));
    if (rule.causal)
      bias_HTS =
          bias_HTS.masked_fill(future_mask(T, in.q), -std::numeric_limits<double>::infinity());
    mask = bias_HTS.to(in.q.scalar_type()).unsqueeze(0);
  }
  const bool grouped = shape.num_heads != shape.num_kv_heads;
  const at::Tensor q = rotated(heads.q), k = rotated(heads.k), v = heads.v.transpose(1, 2);
  // LibTorch takes its plain form for a bias with gradients, and one that rounds differently for a
  // bias without: the plain form gives training and evaluation the same loss.
  const at::Tensor output =
      mask
          ? std::get<0>(at::_scaled_dot_product_attention_math(
                q, k, v, mask, 0.0, /*is_causal=*/false, std::nullopt, 1.0 / rule.divisor, grouped))
          : at::scaled_dot_product_attention(q, k, v, std::nullopt, 0.0, rule.causal,
                                             1.0 / rule.divisor, grouped);
  return output.transpose(1, 2).reshape({B, T, shape.num_heads * shape.head_dim});
}

Rotary Rotary::make(std::int64_t length, std::int64_t head_dim, double theta, at::Device device) {
  invariant(head_dim > 0 && head_dim % 2 == 0, "rotary positions need an even head_dim");
  const std::int64_t pairs = head_dim / 2;
  const at::Tensor cos = at::empty({length, pairs}, at::kFloat), sin = at::empty_like(cos);
  auto *to_cos = write<float>(cos), *to_sin = write<float>(sin);
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t i = 0; i < pairs; ++i) {
      const double angle =
          static_cast<double>(t) *
          std::pow(theta, static_cast<double>(2 * i) / -static_cast<double>(head_dim));
      to_cos[t * pairs + i] = static_cast<float>(std::cos(angle));
      to_sin[t * pairs + i] = static_cast<float>(std::sin(angle));
    }
  }
  return {cos.to(device), sin.to(device)};
}

at::Tensor attention(const AttentionInputs& inputs, const AttentionShape& shape,
                     const AttentionRule& rule, const Context& context) {
  check(inputs, shape, rule);
  switch (choose(inputs, rule, context)) {
    case Implementation::kGpu:
      return gpu_attention(inputs, shape, rule, context);
    case Implementation::kTiled:
      return tiled_attention(inputs, shape, rule);
    case Implementation::kLibrary:
      return library_attention(inputs, shape, rule);
    default:
      return reference_attention(inputs, shape, rule, context);
  }
}

at::Tensor causal_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape,
                            const Rotary& rotary, const Context& context) {
  const AttentionRule rule{.causal = true,
                           .divisor = std::sqrt(static_cast<double>(shape.head_dim))};
  return attention({.q = qkv_BTE, .rotary = rotary}, shape, rule, context);
}

}  // namespace sluice::ops
