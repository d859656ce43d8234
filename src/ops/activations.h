// The activation functions of ops/activation_functions.h with their kernels and, in ATen calls, the
// reference for testing these.
//
// A new activation needs a struct with name, value(x) and slope(x) = d value / dx in
// ops/activation_functions.h, and here its reference and its Activation.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "ops/activation_functions.h"
#include "ops/activation_kernels.h"
#include "ops/glu.h"

namespace sluice::ops {

at::Tensor relu_reference(const at::Tensor& a);
at::Tensor squared_relu_reference(const at::Tensor& a);
at::Tensor identity_reference(const at::Tensor& a);
at::Tensor sigmoid_reference(const at::Tensor& a);
at::Tensor swish_reference(const at::Tensor& a);
at::Tensor gelu_tanh_reference(const at::Tensor& a);
at::Tensor gelu_erf_reference(const at::Tensor& a);

// "Swish": the name of F in ops/activation_functions.h.
template <typename F>
constexpr std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("F = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return text.substr(text.rfind(':') + 1);
}

template <typename F>
constexpr Activation activation_of(at::Tensor (*reference)(const at::Tensor&)) {
  return {.name = F::name,
          .type = type_name<F>(),
          .reference = reference,
          .kernels = &ActivationTable<F>::kernels};
}

extern template struct ActivationTable<Relu>;
extern template struct ActivationTable<SquaredRelu>;
extern template struct ActivationTable<Identity>;
extern template struct ActivationTable<Sigmoid>;
extern template struct ActivationTable<Swish>;
extern template struct ActivationTable<GeluTanh>;
extern template struct ActivationTable<GeluErf>;

inline constexpr Activation kRelu = activation_of<Relu>(&relu_reference);
inline constexpr Activation kSquaredRelu = activation_of<SquaredRelu>(&squared_relu_reference);
inline constexpr Activation kIdentity = activation_of<Identity>(&identity_reference);
inline constexpr Activation kSigmoid = activation_of<Sigmoid>(&sigmoid_reference);
inline constexpr Activation kSwish = activation_of<Swish>(&swish_reference);
inline constexpr Activation kGeluTanh = activation_of<GeluTanh>(&gelu_tanh_reference);
inline constexpr Activation kGeluErf = activation_of<GeluErf>(&gelu_erf_reference);

}  // namespace sluice::ops
