// y = x Wᵀ (+ bias); weight gradients accumulate directly in the arena.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

// x [..., in] in the weight's compute dtype; weight [out, in]; bias [out] or nullptr
// -> [..., out] in the compute dtype.
at::Tensor linear(const at::Tensor& x, const Weight& weight, const Weight* bias,
                  const Context& context);

// ids [B, T] (int64) -> rows of the table, fp32 [B, T, d]. Backward sums in a fixed order and is
// bit-for-bit reproducible.
at::Tensor embedding(const at::Tensor& ids_BT, const Weight& table, const Context& context);

}  // namespace sluice::ops
