// Elementwise activation functions as branch-free scalar code. One text for all processors:
// compilers vectorize it in the CPU kernels, and NVRTC compiles it for GPUs.
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

}  // namespace sluice::ops
