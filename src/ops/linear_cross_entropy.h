// Output layer and loss in one op. Logits are computed for a few rows at a time, so peak memory
// stays below one full [N, vocabulary] tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

struct LossTerms {
  std::int64_t vocab_size = 0;
  double scale = 1;
  double z_loss = 0;
  // float64 scalar in place of `scale`, for a scale that a GPU reads from memory; undefined: none
  at::Tensor device_scale = {};
};
struct CrossEntropy {
  at::Tensor total;  // scale · Σ (cross-entropy + z_loss · (log Z)²); differentiable
  // scale · Σ cross-entropy, without gradients; equal to `total` if z_loss is 0
  at::Tensor cross_entropy;
};

// Cross-entropy = log Z − (x Wᵀ)[target] in nats, summed over the rows with target ≥ 0, with
// log Z = logsumexp((x Wᵀ)[:vocab_size]). Returns float64 scalars on x's device. z-loss pulls log Z
// toward 0 (Mesh TensorFlow's softmax_cross_entropy_with_logits; coefficient 1e-4 in T5).
//
// x [N, d] in the weight's compute dtype; weight [padded vocabulary, d], rows from vocab_size on
// are ignored; targets [N] int64, negative targets are ignored.
//
// `scale` (1 / number of targets in the step) is known in advance, so gradients are computed in the
// forward pass: with gradients enabled, this call adds the weight gradient to the arena, and
// backward() only returns the gradient of x. Differentiate the result exactly once and unscaled (a
// plain sum is allowed); put any factor into `scale`.
CrossEntropy linear_cross_entropy(const at::Tensor& x_ND, const Weight& weight,
                                  const at::Tensor& targets_N, const LossTerms& terms,
                                  const Context& context);

// The cross-entropy of each row, float64 [N], 0 for targets < 0. No gradients; memory as above.
at::Tensor cross_entropy_of_rows(const at::Tensor& x_ND, const Weight& weight,
                                 const at::Tensor& targets_N, std::int64_t vocab_size,
                                 const Context& context);

// Rows of logits that a GPU holds at the same time, row_stride_for(V) elements each.
std::int64_t gpu_rows_per_chunk(std::int64_t N, std::int64_t V);

}  // namespace sluice::ops
