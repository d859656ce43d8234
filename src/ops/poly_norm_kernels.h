// Row kernels of PolyNorm (Zhuo et al. 2024, arXiv 2411.03884; github.com/BryceZhuo/PolyCom):
//
//   y = w₀ n₃ + w₁ n₂ + w₂ n₁ + b,  nₖ = xᵏ rₖ,  rₖ = 1/sqrt(mean(x²ᵏ) + eps)
//
// with the means over a row and eps = 1e-6. The scalars are w₀, w₁, w₂, b; as in the authors' code,
// w₀ belongs to the third power. x⁶ is computed in fp32, so |x| stays below 2e6.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "ops/activation_kernels.h"

namespace sluice::ops {

inline constexpr float kPolyNormEps = 1e-6f;

struct PolyNormPowers {
  float r1, r2, r3;
};

template <typename T>
[[gnu::always_inline]] inline PolyNormPowers poly_norm_powers(const T* __restrict x,
                                                              std::int64_t n) {
  float sum1 = 0, sum2 = 0, sum3 = 0;
#pragma omp simd reduction(+ : sum1, sum2, sum3)
  for (std::int64_t i = 0; i < n; ++i) {
    const float square = load(x[i]) * load(x[i]);
    sum1 += square;
    sum2 += square * square;
    sum3 += square * square * square;
  }
  const float scale = 1.0f / static_cast<float>(n);
  return {1.0f / std::sqrt(sum1 * scale + kPolyNormEps),
          1.0f / std::sqrt(sum2 * scale + kPolyNormEps),
          1.0f / std::sqrt(sum3 * scale + kPolyNormEps)};
}

template <>
struct PlainKernel<PolyNorm> {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, T* __restrict y,
                                                std::int64_t rows, std::int64_t n,
                                                ActivationScalars scalars) {
    for (std::int64_t row = 0; row < rows; ++row, a += n, y += n) {
      const PolyNormPowers r = poly_norm_powers(a, n);
      const float c3 = scalars.values[0] * r.r3, c2 = scalars.values[1] * r.r2,
                  c1 = scalars.values[2] * r.r1, c0 = scalars.values[3];
      for (std::int64_t i = 0; i < n; ++i) {
        const float x = load(a[i]);
        store(((c3 * x + c2) * x + c1) * x + c0, y[i]);
      }
    }
  }
};

// dx = Σₖ w rₖ k xᵏ⁻¹ (dy − nₖ mean(dy nₖ)), w the weight of power k, whose gradient is Σ dy nₖ;
// db = Σ dy.
template <>
struct PlainBackwardKernel<PolyNorm> {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, const T* __restrict dy,
                                                T* __restrict da, std::int64_t rows, std::int64_t n,
                                                ActivationScalars scalars) {
    for (std::int64_t row = 0; row < rows; ++row, a += n, dy += n, da += n) {
      const PolyNormPowers r = poly_norm_powers(a, n);
      float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
#pragma omp simd reduction(+ : sum0, sum1, sum2, sum3)
      for (std::int64_t i = 0; i < n; ++i) {
        const float x = load(a[i]), g = load(dy[i]);
        sum0 += g;
        sum1 += g * x;
        sum2 += g * x * x;
        sum3 += g * x * x * x;
      }
      const std::array sums{sum3 * r.r3, sum2 * r.r2, sum1 * r.r1, sum0};
      for (std::size_t k = 0; k < sums.size(); ++k) scalars.sums[k] += static_cast<double>(sums[k]);
      const float scale = 1.0f / static_cast<float>(n);
      const float c3 = scalars.values[0] * r.r3, c2 = scalars.values[1] * r.r2,
                  c1 = scalars.values[2] * r.r1, m3 = sums[0] * scale * r.r3,
                  m2 = sums[1] * scale * r.r2, m1 = sums[2] * scale * r.r1;
      for (std::int64_t i = 0; i < n; ++i) {
        const float x = load(a[i]), g = load(dy[i]), square = x * x;
        store(c1 * (g - x * m1) + 2.0f * c2 * x * (g - square * m2) +
                  3.0f * c3 * square * (g - square * x * m3),
              da[i]);
      }
    }
  }
};

template <typename T>
constexpr ActivationKernelsOf<T> poly_norm_kernels_of() {
  using Count = std::int64_t;
  using Scalars = ActivationScalars;
  return {
      .plain = &run_kernel<PlainKernel<PolyNorm>, const T*, T*, Count, Count, Scalars>,
      .plain_backward =
          &run_kernel<PlainBackwardKernel<PolyNorm>, const T*, const T*, T*, Count, Count, Scalars>,
      .gated = nullptr,
      .gated_backward = nullptr};
}

}  // namespace sluice::ops
