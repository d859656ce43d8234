// Passes of an Adafactor step over a piece of one parameter (adafactor.h). Plain loops that the
// compiler vectorizes (ops/kernels.h); sums in float64 in a fixed order.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/kernels.h"
#include "optim/adamw_kernels.h"

namespace sluice::optim {

// Sums of g² over a range of whole rows: one per row, and one per column over these rows.
struct RowAndColumnSquares {
  [[gnu::always_inline]] static inline void run(const float* __restrict g, std::int64_t num_rows,
                                                std::int64_t num_columns, double* __restrict rows,
                                                double* __restrict columns) {
    for (std::int64_t j = 0; j < num_columns; ++j) columns[j] = 0;
    for (std::int64_t i = 0; i < num_rows; ++i, g += num_columns) {
      for (std::int64_t j = 0; j < num_columns; ++j)
        columns[j] += static_cast<double>(g[j]) * static_cast<double>(g[j]);
      SumOfSquares::run(g, num_columns, rows + i);
    }
  }
};

// A range of whole rows of a factored matrix. The unscaled update is g·row·column.
struct FactoredRows {
  float* __restrict weight;
  float* __restrict gradient;
  ops::Bf16* __restrict compute;  // null in fp32
  const float* __restrict row;
  const float* __restrict column;  // includes the clipping factor
  std::int64_t num_rows, num_columns;
};

// Sum of the squares of the update.
struct FactoredUpdateSquares {
  [[gnu::always_inline]] static inline void run(const FactoredRows* rows, double* __restrict out) {
    constexpr std::int64_t kLanes = 16;
    const float* __restrict g = rows->gradient;
    const float* __restrict column = rows->column;
    const std::int64_t n = rows->num_columns;
    double sum = 0;
    for (std::int64_t r = 0; r < rows->num_rows; ++r, g += n) {
      double sums[kLanes] = {};
      std::int64_t i = 0;
      for (; i + kLanes <= n; i += kLanes)
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
          const auto u = static_cast<double>(g[i + lane] * column[i + lane]);
          sums[lane] += u * u;
        }
      for (std::int64_t lane = 0; i < n; ++i, ++lane) {
        const auto u = static_cast<double>(g[i] * column[i]);
        sums[lane] += u * u;
      }
      for (std::int64_t width = kLanes / 2; width > 0; width /= 2)
        for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
      const auto factor = static_cast<double>(rows->row[r]);
      sum += sums[0] * (factor * factor);
    }
    *out = sum;
  }
};

// w = w − step·update; clears the gradient.
struct FactoredStep {
  [[gnu::always_inline]] static inline void run(const FactoredRows* rows, float step) {
    float* __restrict w = rows->weight;
    float* __restrict g = rows->gradient;
    const float* __restrict column = rows->column;
    const std::int64_t n = rows->num_columns;
    for (std::int64_t r = 0; r < rows->num_rows; ++r, w += n, g += n) {
      const float factor = step * rows->row[r];
      for (std::int64_t i = 0; i < n; ++i) {
        w[i] -= factor * (g[i] * column[i]);
        g[i] = 0;
      }
    }
    if (ops::Bf16* __restrict compute = rows->compute)
      for (std::int64_t i = 0; i < rows->num_rows * n; ++i) ops::store(rows->weight[i], compute[i]);
  }
};

// A piece of an unfactored parameter. The unscaled update is g·clip / sqrt(v).
struct FullPiece {
  float* __restrict weight;
  float* __restrict gradient;
  ops::Bf16* __restrict compute;  // null in fp32
  float* __restrict v;
  std::int64_t n;
};

struct FullCoefficients {
  float clip = 1;  // min(1, clip_norm / norm)
  float beta2 = 0, one_minus_beta2 = 1;
  float eps = 0;
};

// v = β2 v + (1 − β2)(g² + eps), and the sum of the squares of the update.
struct FullStatistic {
  [[gnu::always_inline]] static inline void run(const FullPiece* piece,
                                                const FullCoefficients* coefficients,
                                                double* __restrict out) {
    const FullCoefficients c = *coefficients;
    const float* __restrict gradient = piece->gradient;
    float* __restrict v = piece->v;
    constexpr std::int64_t kLanes = 16;
    double sums[kLanes] = {};
    const auto square = [&](std::int64_t i) {
      const float g = gradient[i] * c.clip;
      v[i] = c.beta2 * v[i] + c.one_minus_beta2 * (g * g + c.eps);
      const auto u = static_cast<double>(g / std::sqrt(v[i]));
      return u * u;
    };
    std::int64_t i = 0;
    for (; i + kLanes <= piece->n; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += square(i + lane);
    for (std::int64_t lane = 0; i < piece->n; ++i, ++lane) sums[lane] += square(i);
    for (std::int64_t width = kLanes / 2; width > 0; width /= 2)
      for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    *out = sums[0];
  }
};

// w = w − step·update; clears the gradient. `step` includes the clipping factor.
struct FullStep {
  [[gnu::always_inline]] static inline void run(const FullPiece* piece, float step) {
    float* __restrict w = piece->weight;
    float* __restrict g = piece->gradient;
    const float* __restrict v = piece->v;
    for (std::int64_t i = 0; i < piece->n; ++i) {
      w[i] -= step * (g[i] / std::sqrt(v[i]));
      g[i] = 0;
    }
    if (ops::Bf16* __restrict compute = piece->compute)
      for (std::int64_t i = 0; i < piece->n; ++i) ops::store(w[i], compute[i]);
  }
};

}  // namespace sluice::optim
