// Row kernels of the normalizations. x, dx, scale and bias are fp32, y and dy have type T; `d`
// elements per row.
//
//   y = (x − mean) r scale + bias,  r = 1/sqrt(mean((x − mean)²) + eps)
//
// rms_norm: mean = 0, no bias.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/kernels.h"

namespace sluice::ops {

// Saved per row for backward.
struct RowStatistics {
  float mean, reciprocal;
};

struct NormSize {
  std::int64_t rows, d;
  float eps;
  bool centered;
};

struct NormKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const float* x, const float* __restrict scale,
                                                const float* __restrict bias, T* y,
                                                RowStatistics* statistics, NormSize size) {
    const std::int64_t d = size.d;
    for (std::int64_t row = 0; row < size.rows; ++row, x += d, y += d) {
      const float* __restrict x_row = x;
      T* __restrict y_row = y;
      float mean = 0, square = 0;
      if (size.centered) {
#pragma omp simd reduction(+ : mean)
        for (std::int64_t i = 0; i < d; ++i) mean += x_row[i];
        mean /= static_cast<float>(d);
      }
#pragma omp simd reduction(+ : square)
      for (std::int64_t i = 0; i < d; ++i) square += (x_row[i] - mean) * (x_row[i] - mean);
      const float reciprocal = 1.0f / std::sqrt(square / static_cast<float>(d) + size.eps);
      statistics[row] = {mean, reciprocal};
      if (bias) {
        for (std::int64_t i = 0; i < d; ++i)
          store((x_row[i] - mean) * reciprocal * scale[i] + bias[i], y_row[i]);
      } else {
        for (std::int64_t i = 0; i < d; ++i)
          store((x_row[i] - mean) * reciprocal * scale[i], y_row[i]);
      }
    }
  }
};

// With n = (x − mean) r and g = scale dy:  dx = r (g − mean(g) − n mean(g n)); rms_norm omits
// mean(g). dscale and dbias (nullptr: no bias) receive the sums of dy n and dy over these rows.
struct NormGradients {
  float *dx, *dscale, *dbias;
};

struct NormBackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const float* x, const float* __restrict scale,
                                                const T* dy, const RowStatistics* statistics,
                                                NormGradients gradients, NormSize size) {
    float *dx = gradients.dx, *__restrict dscale = gradients.dscale,
          *__restrict dbias = gradients.dbias;
    const std::int64_t d = size.d;
    for (std::int64_t i = 0; i < d; ++i) dscale[i] = 0;
    if (dbias)
      for (std::int64_t i = 0; i < d; ++i) dbias[i] = 0;
    for (std::int64_t row = 0; row < size.rows; ++row, x += d, dy += d, dx += d) {
      const float* __restrict x_row = x;
      const T* __restrict dy_row = dy;
      float* __restrict dx_row = dx;
      const float mean = statistics[row].mean, r = statistics[row].reciprocal;
      float sum_g = 0, sum_gn = 0;
#pragma omp simd reduction(+ : sum_g, sum_gn)
      for (std::int64_t i = 0; i < d; ++i) {
        const float n = (x_row[i] - mean) * r, g = load(dy_row[i]) * scale[i];
        dscale[i] += load(dy_row[i]) * n;
        sum_g += g;
        sum_gn += g * n;
      }
      if (dbias)
        for (std::int64_t i = 0; i < d; ++i) dbias[i] += load(dy_row[i]);
      const float mean_g = size.centered ? sum_g / static_cast<float>(d) : 0.0f,
                  mean_gn = sum_gn / static_cast<float>(d);
      for (std::int64_t i = 0; i < d; ++i) {
        const float n = (x_row[i] - mean) * r;
        dx_row[i] = r * (load(dy_row[i]) * scale[i] - mean_g - n * mean_gn);
      }
    }
  }
};

}  // namespace sluice::ops
