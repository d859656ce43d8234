// The activation of a feed-forward layer (Shazeer 2020, eq. 1-6): f(a), or the gated product
// f(a) * b. Some functions replace b by a function of it, and some have learned scalars, one set
// per layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

// Learned scalars of one name, fp32 and without weight decay.
struct LearnedScalar {
  std::string_view name;
  std::int64_t size = 1;
  double initial = 0;  // of all of them
};

// An activation function f as function pointers, so that tables can store it. Built by
// activation_of<F>() (ops/activations.h).
struct Activation {
  std::string_view name;  // "gelu_tanh"
  std::string_view type;  // of its struct in ops/activation_functions.h: "GeluTanh"
  // `scalars`: the learned scalars in the order of `scalars` below, or undefined
  at::Tensor (*reference)(const at::Tensor& a, const at::Tensor& scalars);
  const struct ActivationKernels* kernels;  // ops/activation_kernels.h
  // the second factor of the gated form; nullptr: b itself
  at::Tensor (*factor)(const at::Tensor& b) = nullptr;
  std::span<const LearnedScalar> scalars = {};
  bool is_rowwise = false;  // a function of a whole row; has no gated form

  constexpr std::int64_t num_scalars() const {
    std::int64_t sum = 0;
    for (const LearnedScalar& scalar : scalars) sum += scalar.size;
    return sum;
  }
};

// ab [..., 2n], a and b packed (the product with the stacked w and v) -> f(a) * b, [..., n], in the
// input dtype. `scalars`: the slot with the learned scalars [num_scalars], or nullptr if there are
// none; computed in fp32 in every dtype. Their gradients are summed in an order that depends on the
// shape only.
at::Tensor glu(const at::Tensor& ab, const Activation& f, const Context& context,
               const Weight* scalars = nullptr);
// a [..., n] -> f(a), [..., n].
at::Tensor activate(const at::Tensor& a, const Activation& f, const Context& context,
                    const Weight* scalars = nullptr);

}  // namespace sluice::ops
