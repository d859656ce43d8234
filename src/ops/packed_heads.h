// Heads as views of the packed projections (ops/attention.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/attention.h"

namespace sluice::ops {

// q [B, T, H, D], k and v [B, S, K, D], where H and K are the numbers of query and of key heads.
struct HeadViews {
  at::Tensor q, k, v;
};

// `q` holds all heads if kv is undefined.
inline HeadViews heads_of(const at::Tensor& q, const at::Tensor& kv, const AttentionShape& shape) {
  const std::int64_t H = shape.num_heads, K = shape.num_kv_heads, D = shape.head_dim;
  const auto split = [&](const at::Tensor& x) {
    return x.view({x.size(0), x.size(1), x.size(2) / D, D});
  };
  const at::Tensor first = split(q), second = kv.defined() ? split(kv) : first.narrow(2, H, 2 * K);
  return {first.narrow(2, 0, H), second.narrow(2, 0, K), second.narrow(2, K, K)};
}

}  // namespace sluice::ops
