// The activation of a feed-forward layer (Shazeer 2020, eq. 1-6): f(a), or the gated product
// f(a) * b.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "ops/context.h"

namespace sluice::ops {

// An activation function f as function pointers, so that tables can store it. Built by
// activation_of<F>() (ops/activations.h).
struct Activation {
  std::string_view name;  // "gelu_tanh"
  std::string_view type;  // of its struct in ops/activation_functions.h: "GeluTanh"
  at::Tensor (*reference)(const at::Tensor& a);
  const struct ActivationKernels* kernels;  // ops/activation_kernels.h
};

// ab [..., 2n], a and b packed (the product with the stacked w and v) -> f(a) * b, [..., n], in the
// input dtype.
at::Tensor glu(const at::Tensor& ab, const Activation& f, const Context& context);
// a [..., n] -> f(a), [..., n].
at::Tensor activate(const at::Tensor& a, const Activation& f, const Context& context);

}  // namespace sluice::ops
