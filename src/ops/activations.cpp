#include "ops/activations.h"

#include <ATen/ATen.h>

#include "ops/poly_norm_kernels.h"

namespace sluice::ops {

template struct ActivationTable<Relu>;
template struct ActivationTable<SquaredRelu>;
template struct ActivationTable<Identity>;
template struct ActivationTable<Sigmoid>;
template struct ActivationTable<Swish>;
template struct ActivationTable<GeluTanh>;
template struct ActivationTable<GeluErf>;
template struct ActivationTable<ClampedSwish>;
template struct ActivationTable<DoubleRelu>;
template struct ActivationTable<SwishBeta>;
template struct ActivationTable<Xielu>;
template <>
const ActivationKernels ActivationTable<PolyNorm>::kernels = {.f32 = poly_norm_kernels_of<float>(),
                                                              .bf16 = poly_norm_kernels_of<Bf16>()};

at::Tensor relu_reference(const at::Tensor& a) { return at::relu(a); }

at::Tensor squared_relu_reference(const at::Tensor& a) {
  const at::Tensor positive = at::relu(a);
  return positive * positive;
}

at::Tensor identity_reference(const at::Tensor& a) { return a; }
at::Tensor sigmoid_reference(const at::Tensor& a) { return at::sigmoid(a); }
at::Tensor swish_reference(const at::Tensor& a) { return a * at::sigmoid(a); }
at::Tensor gelu_tanh_reference(const at::Tensor& a) { return at::gelu(a, "tanh"); }
at::Tensor gelu_erf_reference(const at::Tensor& a) { return at::gelu(a, "none"); }

at::Tensor clamped_swish_reference(const at::Tensor& a) {
  const at::Tensor clamped = at::clamp_max(a, ClampedSwish::kLimit);
  return clamped * at::sigmoid(1.702 * clamped);
}
at::Tensor clamped_factor_reference(const at::Tensor& b) {
  return at::clamp(b, -ClampedSwish::kLimit, ClampedSwish::kLimit) + 1;
}

at::Tensor swish_beta_reference(const at::Tensor& a, const at::Tensor& scalars) {
  return a * at::sigmoid(scalars * a);
}

at::Tensor xielu_reference(const at::Tensor& a, const at::Tensor& scalars) {
  const at::Tensor alphas = at::softplus(scalars), negative = at::clamp_max(a, 0);
  return at::where(a > 0, alphas[0] * a * a, (0.5 + alphas[1]) * (at::expm1(negative) - negative)) +
         0.5 * a;
}

at::Tensor poly_norm_reference(const at::Tensor& a, const at::Tensor& scalars) {
  const auto normalized = [](const at::Tensor& power) {
    return power * at::rsqrt(at::mean(power * power, -1, /*keepdim=*/true) + 1e-6);
  };
  return scalars[0] * normalized(a * a * a) + scalars[1] * normalized(a * a) +
         scalars[2] * normalized(a) + scalars[3];
}

}  // namespace sluice::ops
