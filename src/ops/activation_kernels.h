// Fused kernels of an activation F for fp32 and bf16 tensors, computed in fp32 and rounded once.
#pragma once

#include <cstdint>

#include "ops/activation_functions.h"
#include "ops/kernels.h"

namespace sluice::ops {

// The learned scalars of a layer. `values` is null if it has none; `sums` [scalars] receives, in
// backward passes, the gradients summed over the given rows.
struct ActivationScalars {
  const float* values = nullptr;
  double* sums = nullptr;
};

// `rows` rows of `n` elements. The gated kernels read a and b packed in rows of 2n and write their
// gradients in the same layout; nullptr if a function has no gated form.
template <typename T>
struct ActivationKernelsOf {
  using Scalars = ActivationScalars;
  // y = f(a)
  void (*plain)(const T* a, T* y, std::int64_t rows, std::int64_t n, Scalars scalars);
  void (*plain_backward)(const T* a, const T* dy, T* da, std::int64_t rows, std::int64_t n,
                         Scalars scalars);
  // y = f(a) b, or f(a) factor(b)
  void (*gated)(const T* ab, T* y, std::int64_t rows, std::int64_t n, Scalars scalars);
  void (*gated_backward)(const T* ab, const T* dy, T* dab, std::int64_t rows, std::int64_t n,
                         Scalars scalars);
};

struct ActivationKernels {
  ActivationKernelsOf<float> f32;
  ActivationKernelsOf<Bf16> bf16;
};

template <typename F>
struct PlainKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, T* __restrict y,
                                                std::int64_t rows, std::int64_t n,
                                                ActivationScalars scalars) {
    const F f = ScalarsOf<F>::function(scalars.values);
    for (std::int64_t i = 0; i < rows * n; ++i) store(f.value(load(a[i])), y[i]);
  }
};

// sums[k] += Σᵢ dh[i] d f(a[i]) / d scalar k, with dh = dy, or dy b if gated.
template <typename F>
struct ScalarSums {
  template <typename T>
  [[gnu::always_inline]] static inline void add(const F& f, const T* __restrict a,
                                                const T* __restrict b, const T* __restrict dy,
                                                std::int64_t n, double* sums) {
    float first = 0, second = 0;
#pragma omp simd reduction(+ : first, second)
    for (std::int64_t i = 0; i < n; ++i) {
      const ScalarSlopes slopes = f.scalar_slopes(load(a[i]));
      const float dh = b != nullptr ? load(dy[i]) * load(b[i]) : load(dy[i]);
      first += dh * slopes.first;
      second += dh * slopes.second;
    }
    sums[0] += static_cast<double>(first);
    if constexpr (ScalarsOf<F>::count > 1) sums[1] += static_cast<double>(second);
  }
};

template <typename F>
struct PlainBackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, const T* __restrict dy,
                                                T* __restrict da, std::int64_t rows, std::int64_t n,
                                                ActivationScalars scalars) {
    const F f = ScalarsOf<F>::function(scalars.values);
    for (std::int64_t i = 0; i < rows * n; ++i) store(f.slope(load(a[i])) * load(dy[i]), da[i]);
    if constexpr (ScalarsOf<F>::count > 0) {
      const T* no_factor = nullptr;
      for (std::int64_t row = 0; row < rows; ++row, a += n, dy += n)
        ScalarSums<F>::add(f, a, no_factor, dy, n, scalars.sums);
    }
  }
};

template <typename F>
[[gnu::always_inline]] inline float factor_of(float b) {
  if constexpr (FactorOf<F>::is_custom)
    return F::factor(b);
  else
    return b;
}
template <typename F>
[[gnu::always_inline]] inline float factor_slope_of(float b) {
  if constexpr (FactorOf<F>::is_custom)
    return F::factor_slope(b);
  else
    return 1.0f;
}

template <typename F>
struct GatedKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict ab, T* __restrict y,
                                                std::int64_t rows, std::int64_t n,
                                                ActivationScalars scalars) {
    const F f = ScalarsOf<F>::function(scalars.values);
    for (std::int64_t row = 0; row < rows; ++row, ab += 2 * n, y += n)
      for (std::int64_t i = 0; i < n; ++i)
        store(f.value(load(ab[i])) * factor_of<F>(load(ab[n + i])), y[i]);
  }
};

template <typename F>
struct GatedBackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict ab, const T* __restrict dy,
                                                T* __restrict dab, std::int64_t rows,
                                                std::int64_t n, ActivationScalars scalars) {
    const F f = ScalarsOf<F>::function(scalars.values);
    for (std::int64_t row = 0; row < rows; ++row, ab += 2 * n, dy += n, dab += 2 * n) {
      T* __restrict da = dab;
      T* __restrict db = dab + n;
      for (std::int64_t i = 0; i < n; ++i) {
        const float a = load(ab[i]), b = load(ab[n + i]), dy_i = load(dy[i]);
        store(f.slope(a) * factor_of<F>(b) * dy_i, da[i]);
        store(f.value(a) * factor_slope_of<F>(b) * dy_i, db[i]);
      }
      if constexpr (ScalarsOf<F>::count > 0) {
        static_assert(!FactorOf<F>::is_custom);
        ScalarSums<F>::add(f, ab, ab + n, dy, n, scalars.sums);
      }
    }
  }
};

template <typename F, typename T>
constexpr ActivationKernelsOf<T> activation_kernels_of() {
  using Count = std::int64_t;
  using Scalars = ActivationScalars;
  return {.plain = &run_kernel<PlainKernel<F>, const T*, T*, Count, Count, Scalars>,
          .plain_backward =
              &run_kernel<PlainBackwardKernel<F>, const T*, const T*, T*, Count, Count, Scalars>,
          .gated = &run_kernel<GatedKernel<F>, const T*, T*, Count, Count, Scalars>,
          .gated_backward =
              &run_kernel<GatedBackwardKernel<F>, const T*, const T*, T*, Count, Count, Scalars>};
}

// One table per activation. Those in ops/activations.h are instantiated once, in activations.cpp;
// any other is instantiated at its first use.
template <typename F>
struct ActivationTable {
  static const ActivationKernels kernels;
};
template <typename F>
const ActivationKernels ActivationTable<F>::kernels = {.f32 = activation_kernels_of<F, float>(),
                                                       .bf16 = activation_kernels_of<F, Bf16>()};

}  // namespace sluice::ops
