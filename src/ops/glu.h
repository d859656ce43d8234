// The nonlinear middle of a feed-forward layer (Shazeer 2020, eq. 1-6): f(a), or the gated product f(a) * b.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "ops/context.h"

namespace sluice::ops {

// An elementwise nonlinearity f: its fused kernels as function pointers, so that a row of a table can hold it. Made by
// activation_of<F>() (ops/activations.h) from a struct with scalar value() and slope() and a reference() in ATen calls.
struct Activation {
  std::string_view name;  // "gelu_tanh"
  at::Tensor (*reference)(const at::Tensor& a);
  const struct ActivationKernels* kernels;  // ops/activation_kernels.h
};

// ab [..., 2n] holds a and b side by side (the packed product of w and v) -> f(a) * b, [..., n], dtype as the input.
at::Tensor glu(const at::Tensor& ab, const Activation& f, const Context& context);
// a [..., n] -> f(a), [..., n].
at::Tensor activate(const at::Tensor& a, const Activation& f, const Context& context);

}  // namespace sluice::ops
