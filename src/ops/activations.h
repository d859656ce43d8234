// The activation functions of ops/activation_functions.h with their kernels and, in ATen calls, the
// reference for testing these.
//
// A new activation needs a struct in ops/activation_functions.h, and here its reference and its
// Activation.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
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
at::Tensor clamped_swish_reference(const at::Tensor& a);
at::Tensor clamped_factor_reference(const at::Tensor& b);
// With learned scalars, in the order of the tables below.
at::Tensor swish_beta_reference(const at::Tensor& a, const at::Tensor& scalars);
at::Tensor xielu_reference(const at::Tensor& a, const at::Tensor& scalars);
at::Tensor poly_norm_reference(const at::Tensor& a, const at::Tensor& scalars);

// "Swish": the name of F in ops/activation_functions.h.
template <typename F>
constexpr std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("F = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  return text.substr(text.rfind(':') + 1);
}

// Reference: a function of (a), or of (a, scalars) if F has learned scalars.
template <typename F, auto kReference>
constexpr Activation activation_of(std::span<const LearnedScalar> scalars = {}) {
  Activation activation{.name = F::name,
                        .type = type_name<F>(),
                        .reference = nullptr,
                        .kernels = &ActivationTable<F>::kernels,
                        .scalars = scalars};
  if constexpr (ScalarsOf<F>::count > 0)
    activation.reference = kReference;
  else
    activation.reference = [](const at::Tensor& a, const at::Tensor&) { return kReference(a); };
  return activation;
}

// With the second factor of the gated form.
template <typename F, auto kReference, auto kFactor>
constexpr Activation activation_with_factor() {
  Activation activation = activation_of<F, kReference>();
  activation.factor = kFactor;
  return activation;
}

extern template struct ActivationTable<Relu>;
extern template struct ActivationTable<SquaredRelu>;
extern template struct ActivationTable<Identity>;
extern template struct ActivationTable<Sigmoid>;
extern template struct ActivationTable<Swish>;
extern template struct ActivationTable<GeluTanh>;
extern template struct ActivationTable<GeluErf>;

extern template struct ActivationTable<ClampedSwish>;
extern template struct ActivationTable<DoubleRelu>;
extern template struct ActivationTable<SwishBeta>;
extern template struct ActivationTable<Xielu>;
template <>
const ActivationKernels ActivationTable<PolyNorm>::kernels;

// beta = 1: swish.
inline constexpr LearnedScalar kSwishBetaScalars[] = {{.name = "beta", .initial = 1.0}};
// softplus^-1(0.8), softplus^-1(0.8 - 1/2): alpha_p = alpha_n = 0.8, as XIELUActivation of
// `transformers`.
inline constexpr LearnedScalar kXieluScalars[] = {
    {.name = "alpha_p", .initial = 0.2033823208110246},
    {.name = "alpha_n", .initial = -1.0502256128148468}};
// As the authors' code.
inline constexpr LearnedScalar kPolyNormScalars[] = {
    {.name = "weight", .size = 3, .initial = 1.0 / 3}, {.name = "bias", .initial = 0.0}};

inline constexpr Activation kRelu = activation_of<Relu, &relu_reference>();
inline constexpr Activation kSquaredRelu = activation_of<SquaredRelu, &squared_relu_reference>();
inline constexpr Activation kIdentity = activation_of<Identity, &identity_reference>();
inline constexpr Activation kSigmoid = activation_of<Sigmoid, &sigmoid_reference>();
inline constexpr Activation kSwish = activation_of<Swish, &swish_reference>();
inline constexpr Activation kGeluTanh = activation_of<GeluTanh, &gelu_tanh_reference>();
inline constexpr Activation kGeluErf = activation_of<GeluErf, &gelu_erf_reference>();
inline constexpr Activation kDoubleRelu =
    activation_with_factor<DoubleRelu, &relu_reference, &relu_reference>();
inline constexpr Activation kClampedSwish =
    activation_with_factor<ClampedSwish, &clamped_swish_reference, &clamped_factor_reference>();
inline constexpr Activation kSwishBeta =
    activation_of<SwishBeta, &swish_beta_reference>(kSwishBetaScalars);
inline constexpr Activation kXielu = activation_of<Xielu, &xielu_reference>(kXieluScalars);
inline constexpr Activation kPolyNorm = {.name = PolyNorm::name,
                                         .type = type_name<PolyNorm>(),
                                         .reference = &poly_norm_reference,
                                         .kernels = &ActivationTable<PolyNorm>::kernels,
                                         .scalars = kPolyNormScalars,
                                         .is_rowwise = true};

}  // namespace sluice::ops
