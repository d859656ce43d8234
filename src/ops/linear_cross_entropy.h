// The output layer and its loss in one op: the logits exist only for a few rows at a time, so that peak memory stays below one
// full [N, vocabulary] tensor.
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
};
struct CrossEntropy {
  at::Tensor total;          // scale · Σ (cross-entropy + z_loss · (log Z)²); differentiable
  at::Tensor cross_entropy;  // scale · Σ cross-entropy, without gradients; equal to `total` where z_loss is 0
};

// With log Z = logsumexp(x Wᵀ)[:vocab_size], over the rows with target ≥ 0: cross-entropy = log Z − (x Wᵀ)[target], in nats. float64 scalars on
// x's device. z-loss pulls log Z towards 0 (Mesh TensorFlow's softmax_cross_entropy_with_logits; coefficient 1e-4 in T5).
// x [N, d] in the weight's compute dtype; weight [padded vocabulary, d]: rows from vocab_size on take no part; targets [N] int64, negative: ignored.
// `scale` is known beforehand (1 / targets of the whole step), so the gradients can be made in the same pass as the loss:
// with gradients enabled this call already adds the weight's gradient to the arena, and backward() passes on the gradient of x. So differentiate
// the result once and as it is (or in a plain sum); what would scale it belongs into `scale`.
CrossEntropy linear_cross_entropy(const at::Tensor& x_ND, const Weight& weight, const at::Tensor& targets_N, const LossTerms& terms,
                                  const Context& context);

// The cross-entropy of each row, float64 [N], 0 for targets < 0. Without gradients; memory as above.
at::Tensor cross_entropy_of_rows(const at::Tensor& x_ND, const Weight& weight, const at::Tensor& targets_N, std::int64_t vocab_size,
                                 const Context& context);

}  // namespace sluice::ops
