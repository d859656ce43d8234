// Elementwise activation functions. Each struct defines its function twice: as branch-free scalar
// code that the compiler vectorizes, and in ATen calls, the reference for testing the kernels.
//
// A new activation needs name, value(x), slope(x) = d value / dx and reference(a);
// activation_of<F>() then builds its Activation.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <string_view>

#include "ops/activation_kernels.h"
#include "ops/glu.h"
#include "ops/scalar_math.h"

namespace sluice::ops {

struct Relu {
  static constexpr std::string_view name = "relu";
  static float value(float x) { return std::max(x, 0.0f); }
  static float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
  static at::Tensor reference(const at::Tensor& a);
};

struct SquaredRelu {
  static constexpr std::string_view name = "squared_relu";
  static float value(float x) { return std::max(x, 0.0f) * std::max(x, 0.0f); }
  static float slope(float x) { return 2.0f * std::max(x, 0.0f); }
  static at::Tensor reference(const at::Tensor& a);
};

struct Identity {
  static constexpr std::string_view name = "identity";
  static float value(float x) { return x; }
  static float slope(float) { return 1.0f; }
  static at::Tensor reference(const at::Tensor& a);
};

struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  static float value(float x) { return sigmoid(x); }
  static float slope(float x) {  // slope is even; 1 − sigmoid(x) would cancel
    const float e = fast_exp(-std::abs(x));
    return e / ((1.0f + e) * (1.0f + e));
  }
  static at::Tensor reference(const at::Tensor& a);
};

// x · sigmoid(x) (Ramachandran et al. 2017, beta = 1).
struct Swish {
  static constexpr std::string_view name = "swish";
  static float value(float x) { return x * sigmoid(x); }
  static float slope(float x) {
    const float s = sigmoid(x);
    return s + x * s * (1.0f - s);
  }
  static at::Tensor reference(const at::Tensor& a);
};

// ½ x (1 + tanh u), u = sqrt(2/π) (x + 0.044715 x³) (Hendrycks & Gimpel 2016).
// ½ (1 + tanh u) = sigmoid(2u).
struct GeluTanh {
  static constexpr std::string_view name = "gelu_tanh";
  static constexpr float kTwoSqrt2OverPi = 1.5957691216057308f;
  static constexpr float kCubic = 0.044715f;
  static float value(float x) { return x * sigmoid(kTwoSqrt2OverPi * x * (1.0f + kCubic * x * x)); }
  static float slope(float x) {
    const float s = sigmoid(kTwoSqrt2OverPi * x * (1.0f + kCubic * x * x));
    return s + x * s * (1.0f - s) * kTwoSqrt2OverPi * (1.0f + 3.0f * kCubic * x * x);
  }
  static at::Tensor reference(const at::Tensor& a);
};

// x Φ(x), Φ the normal distribution function.
struct GeluErf {
  static constexpr std::string_view name = "gelu_erf";
  static float value(float x) { return x * normal_cdf(x); }
  static float slope(float x) { return normal_cdf(x) + x * normal_density(x); }
  static at::Tensor reference(const at::Tensor& a);
};

template <typename F>
constexpr Activation activation_of() {
  return {.name = F::name, .reference = &F::reference, .kernels = &ActivationTable<F>::kernels};
}

extern template struct ActivationTable<Relu>;
extern template struct ActivationTable<SquaredRelu>;
extern template struct ActivationTable<Identity>;
extern template struct ActivationTable<Sigmoid>;
extern template struct ActivationTable<Swish>;
extern template struct ActivationTable<GeluTanh>;
extern template struct ActivationTable<GeluErf>;

inline constexpr Activation kRelu = activation_of<Relu>();
inline constexpr Activation kSquaredRelu = activation_of<SquaredRelu>();
inline constexpr Activation kIdentity = activation_of<Identity>();
inline constexpr Activation kSigmoid = activation_of<Sigmoid>();
inline constexpr Activation kSwish = activation_of<Swish>();
inline constexpr Activation kGeluTanh = activation_of<GeluTanh>();
inline constexpr Activation kGeluErf = activation_of<GeluErf>();

}  // namespace sluice::ops
