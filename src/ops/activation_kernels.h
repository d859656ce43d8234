// Fused kernels of an activation F for fp32 and bf16 tensors, computed in fp32 and rounded once.
#pragma once

#include <cstdint>

#include "ops/kernels.h"

namespace sluice::ops {

// `rows` rows of `n` elements. The gated kernels read a and b packed in rows of 2n and write their
// gradients in the same layout.
template <typename T>
struct ActivationKernelsOf {
  void (*plain)(const T* a, T* y, std::int64_t rows, std::int64_t n);  // y = f(a)
  void (*plain_backward)(const T* a, const T* dy, T* da, std::int64_t rows, std::int64_t n);
  void (*gated)(const T* ab, T* y, std::int64_t rows, std::int64_t n);  // y = f(a) b
  void (*gated_backward)(const T* ab, const T* dy, T* dab, std::int64_t rows, std::int64_t n);
};

struct ActivationKernels {
  ActivationKernelsOf<float> f32;
  ActivationKernelsOf<Bf16> bf16;
};

template <typename F>
struct PlainKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, T* __restrict y,
                                                std::int64_t rows, std::int64_t n) {
    for (std::int64_t i = 0; i < rows * n; ++i) store(F::value(load(a[i])), y[i]);
  }
};

template <typename F>
struct PlainBackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict a, const T* __restrict dy,
                                                T* __restrict da, std::int64_t rows,
                                                std::int64_t n) {
    for (std::int64_t i = 0; i < rows * n; ++i) store(F::slope(load(a[i])) * load(dy[i]), da[i]);
  }
};

template <typename F>
struct GatedKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict ab, T* __restrict y,
                                                std::int64_t rows, std::int64_t n) {
    for (std::int64_t row = 0; row < rows; ++row, ab += 2 * n, y += n)
      for (std::int64_t i = 0; i < n; ++i) store(F::value(load(ab[i])) * load(ab[n + i]), y[i]);
  }
};

template <typename F>
struct GatedBackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict ab, const T* __restrict dy,
                                                T* __restrict dab, std::int64_t rows,
                                                std::int64_t n) {
    for (std::int64_t row = 0; row < rows; ++row, ab += 2 * n, dy += n, dab += 2 * n) {
      T* __restrict da = dab;
      T* __restrict db = dab + n;
      for (std::int64_t i = 0; i < n; ++i) {
        const float a = load(ab[i]), b = load(ab[n + i]), dy_i = load(dy[i]);
        store(F::slope(a) * b * dy_i, da[i]);
        store(F::value(a) * dy_i, db[i]);
      }
    }
  }
};

template <typename F, typename T>
constexpr ActivationKernelsOf<T> activation_kernels_of() {
  return {
      .plain = &run_kernel<PlainKernel<F>, const T*, T*, std::int64_t, std::int64_t>,
      .plain_backward =
          &run_kernel<PlainBackwardKernel<F>, const T*, const T*, T*, std::int64_t, std::int64_t>,
      .gated = &run_kernel<GatedKernel<F>, const T*, T*, std::int64_t, std::int64_t>,
      .gated_backward =
          &run_kernel<GatedBackwardKernel<F>, const T*, const T*, T*, std::int64_t, std::int64_t>};
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
