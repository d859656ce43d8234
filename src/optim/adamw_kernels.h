// The two passes of a step over a piece of the arena. Plain loops that the compiler vectorizes
// (ops/kernels.h).
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/kernels.h"

namespace sluice::optim {

// Sum of squares in float64. Sixteen partial sums in a fixed order make the result independent of
// the vector width.
struct SumOfSquares {
  [[gnu::always_inline]] static inline void run(const float* __restrict x, std::int64_t n,
                                                double* __restrict out) {
    constexpr std::int64_t kLanes = 16;
    double sums[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane)
        sums[lane] += static_cast<double>(x[i + lane]) * static_cast<double>(x[i + lane]);
    for (std::int64_t lane = 0; i < n; ++i, ++lane)
      sums[lane] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    for (std::int64_t width = kLanes / 2; width > 0; width /= 2)
      for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    *out = sums[0];
  }
};

struct AdamWCoefficients {
  float clip = 1;  // min(1, clip_norm / norm)
  float keep = 1;  // 1 − lr·weight_decay, or 1
  float beta1 = 0, beta2 = 0, one_minus_beta1 = 1, one_minus_beta2 = 1;
  float step_size = 0;   // lr / (1 − β1ⁿ)
  float root_scale = 1;  // 1 / sqrt(1 − β2ⁿ)
  float eps = 0;
};

struct AdamWPiece {
  float* __restrict weight;
  float* __restrict gradient;  // cleared
  float* __restrict exp_avg;
  float* __restrict exp_avg_sq;
  ops::Bf16* __restrict compute;  // null in fp32
  std::int64_t n;
};

struct AdamWKernel {
  [[gnu::always_inline]] static inline void run(const AdamWPiece* piece,
                                                const AdamWCoefficients* coefficients) {
    const AdamWCoefficients c = *coefficients;
    float* __restrict weight = piece->weight;
    float* __restrict gradient = piece->gradient;
    float* __restrict exp_avg = piece->exp_avg;
    float* __restrict exp_avg_sq = piece->exp_avg_sq;
    const std::int64_t n = piece->n;
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = gradient[i] * c.clip;
      const float m = c.beta1 * exp_avg[i] + c.one_minus_beta1 * g;
      const float v = c.beta2 * exp_avg_sq[i] + c.one_minus_beta2 * (g * g);
      weight[i] = weight[i] * c.keep - c.step_size * (m / (std::sqrt(v) * c.root_scale + c.eps));
      exp_avg[i] = m;
      exp_avg_sq[i] = v;
      gradient[i] = 0;
    }
    if (ops::Bf16* __restrict compute = piece->compute)
      for (std::int64_t i = 0; i < n; ++i) ops::store(weight[i], compute[i]);
  }
};

}  // namespace sluice::optim
