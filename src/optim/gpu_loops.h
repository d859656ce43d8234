// Loops of the optimizer kernels over a flat piece of the arena. Part of the kernel texts.
#pragma once

#include "gpu/kernel.h"
#include "optim/gpu_tables.h"

namespace sluice::optim {

template <int width>
struct Width {
  static constexpr int value = width;
};

// Calls body(Width<w>(), i) for groups of w elements that cover [begin, end), divided among the
// threads of the block. `aligned`: groups of 4 begin at multiples of 16 bytes in all buffers.
template <class Body>
inline void for_elements(i64 begin, i64 end, bool aligned, const Body& body) {
  const i64 middle = aligned ? end - (end - begin) % 4 : begin;
#pragma unroll 2
  for (i64 i = begin + 4 * gpu::thread(); i < middle; i += 4 * kGpuThreads) body(Width<4>(), i);
  for (i64 i = middle + gpu::thread(); i < end; i += kGpuThreads) body(Width<1>(), i);
}

template <int width>
inline double sum_of_squares(const float* p) {
  const gpu::Values<width> x = gpu::load<width>(p);
  double sum = 0;
#pragma unroll
  for (int j = 0; j < width; ++j) sum += double(x.v[j]) * double(x.v[j]);
  return sum;
}

}  // namespace sluice::optim
