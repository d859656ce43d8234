// The output layer and its loss in one op: the logits exist only for a few rows at a time, so that peak memory stays below one
// full [N, vocabulary] tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

// scale · Σ over rows with target ≥ 0 of  logsumexp(x Wᵀ)[:vocab_size] − (x Wᵀ)[target], in nats: a float64 scalar on x's device.
// x [N, d] in the weight's compute dtype; weight [padded vocabulary, d]: rows from vocab_size on take no part; targets [N] int64, negative: ignored.
// `scale` is known beforehand (1 / targets of the whole step), so the gradients can be made in the same pass as the loss:
// with gradients enabled this call already adds the weight's gradient to the arena, and backward() passes on the gradient of x. So differentiate
// the result once and as it is (or in a plain sum); what would scale it belongs into `scale`.
at::Tensor linear_cross_entropy(const at::Tensor& x_ND, const Weight& weight, const at::Tensor& targets_N, std::int64_t vocab_size,
                                double scale, const Context& context);

}  // namespace sluice::ops
