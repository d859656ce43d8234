// The passes of a linear layer, for autograd functions that contain one. Shapes: N rows (all
// leading dimensions), I in, O out.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/parameters.h"

namespace sluice::ops {

// x as [N, width].
at::Tensor rows_of(const at::Tensor& x);

// y = x Wᵀ + bias, [..., O]; bias may be nullptr. x is contiguous, in the compute dtype.
at::Tensor linear_forward(const at::Tensor& x, const Weight& weight, const Weight* bias);

// Adds the gradients of the master weight and bias to the arena, if they require gradients; bias
// may be undefined.
void add_linear_gradients(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& dy_NO,
                          const at::Tensor& x_NI);

}  // namespace sluice::ops
