// The second half of a feed-forward layer: linear(f(a)) or linear(f(a) * b).
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/context.h"
#include "ops/glu.h"
#include "ops/parameters.h"

namespace sluice::ops {

// ab [..., 2n] if gated, a and b packed, else [..., n]; weight [out, n]; bias [out] or nullptr ->
// [..., out]. On a GPU, backward computes the hidden layer again instead of keeping it: the kernel
// for its gradient reads the same values.
struct ActivationLinear {
  const Activation& f;
  bool gated = false;
  const Weight& weight;
  const Weight* bias = nullptr;
  const Weight* scalars = nullptr;  // of f (ops/glu.h)
};
at::Tensor activation_linear(const at::Tensor& ab, const ActivationLinear& layer,
                             const Context& context);

}  // namespace sluice::ops
