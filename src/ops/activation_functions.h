// Elementwise activation functions as branch-free scalar code. One text for all processors:
// compilers vectorize it in the CPU kernels, and NVRTC compiles it for GPUs.
//
// A struct has `name`, value(x) and slope(x) = d value / dx, and where needed
//
//   factor(b), factor_slope(b)   the second factor of a gated layer, b by default
//   kNumScalars (1 or 2), a constructor from their values, scalar_slopes(x) = d value / d scalar
//                                for learned scalars; value and slope are then not static
#pragma once

#include <algorithm>
#include <cmath>

#include "ops/scalar_math.h"

namespace sluice::ops {

struct Relu {
  static constexpr char name[] = "relu";
  static float value(float x) { return std::max(x, 0.0f); }
  static float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
};

struct SquaredRelu {
  static constexpr char name[] = "squared_relu";
  static float value(float x) { return std::max(x, 0.0f) * std::max(x, 0.0f); }
  static float slope(float x) { return 2.0f * std::max(x, 0.0f); }
};

struct Identity {
  static constexpr char name[] = "identity";
  static float value(float x) { return x; }
  static float slope(float) { return 1.0f; }
};

struct Sigmoid {
  static constexpr char name[] = "sigmoid";
  static float value(float x) { return sigmoid(x); }
  static float slope(float x) {  // slope is even; 1 − sigmoid(x) would cancel
    const float e = fast_exp(-std::abs(x));
    return divide(e, (1.0f + e) * (1.0f + e));
  }
};

// x · sigmoid(x) (Ramachandran et al. 2017, beta = 1).
struct Swish {
  static constexpr char name[] = "swish";
  static float value(float x) { return x * sigmoid(x); }
  static float slope(float x) {
    const float s = sigmoid(x);
    return s + x * s * (1.0f - s);
  }
};

// ½ x (1 + tanh u), u = sqrt(2/π) (x + 0.044715 x³) (Hendrycks & Gimpel 2016).
// ½ (1 + tanh u) = sigmoid(2u).
struct GeluTanh {
  static constexpr char name[] = "gelu_tanh";
  static constexpr float kTwoSqrt2OverPi = 1.5957691216057308f;
  static constexpr float kCubic = 0.044715f;
  static float value(float x) { return x * sigmoid(kTwoSqrt2OverPi * x * (1.0f + kCubic * x * x)); }
  static float slope(float x) {
    const float s = sigmoid(kTwoSqrt2OverPi * x * (1.0f + kCubic * x * x));
    return s + x * s * (1.0f - s) * kTwoSqrt2OverPi * (1.0f + 3.0f * kCubic * x * x);
  }
};

// x Φ(x), Φ the normal distribution function.
struct GeluErf {
  static constexpr char name[] = "gelu_erf";
  static float value(float x) { return x * normal_cdf(x); }
  static float slope(float x) { return normal_cdf(x) + x * normal_density(x); }
};

// x sigmoid(1.702 x), x clamped from above, and b + 1, b clamped: the gated layer of gpt-oss
// (OpenAI 2025, gpt_oss/torch/model.py, `swiglu`). As for PyTorch's clamp, the slope is 1 at the
// limit.
struct ClampedSwish {
  static constexpr char name[] = "clamped_swish";
  static constexpr float kLimit = 7.0f, kAlpha = 1.702f;
  static float value(float x) {
    const float c = std::min(x, kLimit);
    return c * sigmoid(kAlpha * c);
  }
  static float slope(float x) {
    const float c = std::min(x, kLimit), s = sigmoid(kAlpha * c);
    return x > kLimit ? 0.0f : s + kAlpha * c * s * (1.0f - s);
  }
  static float factor(float b) { return std::max(std::min(b, kLimit), -kLimit) + 1.0f; }
  static float factor_slope(float b) { return std::abs(b) > kLimit ? 0.0f : 1.0f; }
};

// relu on both halves (Song et al. 2024, "Turbo Sparse", arXiv 2406.05955, section 3.2).
struct DoubleRelu {
  static constexpr char name[] = "drelu";
  static float value(float x) { return std::max(x, 0.0f); }
  static float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
  static float factor(float b) { return std::max(b, 0.0f); }
  static float factor_slope(float b) { return b > 0.0f ? 1.0f : 0.0f; }
};

struct ScalarSlopes {
  float first = 0.0f, second = 0.0f;
};

// x sigmoid(beta x) (Ramachandran et al. 2017, "Searching for Activation Functions", section 2).
struct SwishBeta {
  static constexpr char name[] = "swish_beta";
  static constexpr int kNumScalars = 1;
  float beta;
  explicit SwishBeta(const float* scalars) : beta(scalars[0]) {}
  float value(float x) const { return x * sigmoid(beta * x); }
  float slope(float x) const {
    const float s = sigmoid(beta * x);
    return s + beta * x * s * (1.0f - s);
  }
  ScalarSlopes scalar_slopes(float x) const {
    const float s = sigmoid(beta * x);
    return {x * x * s * (1.0f - s), 0.0f};
  }
};

// xIELU (Huang & Schlag 2024, arXiv 2411.13010, and its form in `transformers`): alpha_p x² + x / 2
// for x > 0, else alpha_n (e^x − 1 − x) + x / 2; alpha_p = softplus(a), alpha_n = 1/2 + softplus(b)
// with learned a and b.
struct Xielu {
  static constexpr char name[] = "xielu";
  static constexpr int kNumScalars = 2;
  static constexpr float kBeta = 0.5f;
  float alpha_p, alpha_n, slope_p, slope_n;
  explicit Xielu(const float* scalars)
      : alpha_p(softplus(scalars[0])),
        alpha_n(kBeta + softplus(scalars[1])),
        slope_p(sigmoid(scalars[0])),
        slope_n(sigmoid(scalars[1])) {}
  float value(float x) const {
    return kBeta * x + (x > 0.0f ? alpha_p * x * x : alpha_n * exp_remainder(x));
  }
  float slope(float x) const {
    return kBeta + (x > 0.0f ? 2.0f * alpha_p * x : alpha_n * (exp_remainder(x) + negative(x)));
  }
  ScalarSlopes scalar_slopes(float x) const {
    return {x > 0.0f ? slope_p * x * x : 0.0f, x > 0.0f ? 0.0f : slope_n * exp_remainder(x)};
  }
  static float negative(float x) { return std::min(x, 0.0f); }
  // e^x − 1 − x for x <= 0. By its Taylor series near 0, where the terms would cancel.
  static float exp_remainder(float x) {
    const float z = negative(x);
    float p = 1.0f / 40320.0f;
    p = p * z + 1.0f / 5040.0f;
    p = p * z + 1.0f / 720.0f;
    p = p * z + 1.0f / 120.0f;
    p = p * z + 1.0f / 24.0f;
    p = p * z + 1.0f / 6.0f;
    p = p * z + 0.5f;
    return z > -0.5f ? p * z * z : fast_exp(z) - 1.0f - z;
  }
};

// PolyNorm (Zhuo et al. 2024, arXiv 2411.03884), a function of a row:
// ops/poly_norm_kernels.h.
struct PolyNorm {
  static constexpr char name[] = "polynorm";
  static constexpr int kNumScalars = 4;
};

// Properties of an activation F that its struct may leave out.
template <class F, class = void>
struct FactorOf {
  static constexpr bool is_custom = false;
};
template <class F>
struct FactorOf<F, decltype(void(F::factor(0.0f)))> {
  static constexpr bool is_custom = true;
};
template <class F, class = void>
struct ScalarsOf {
  static constexpr int count = 0;
  static F function(const float*) { return F(); }
};
template <class F>
struct ScalarsOf<F, decltype(void(F::kNumScalars))> {
  static constexpr int count = F::kNumScalars;
  static F function(const float* values) { return F(values); }
};

}  // namespace sluice::ops
