// The kernel language on a GPU: what tests/gpu/host_target.h defines for the host. Compiled by
// NVRTC only.
//
//   KERNEL(name, threads, parameters...) { body }   an entry for blocks of at most `threads`
//   SHARED                                          storage shared by the threads of a block
#pragma once

typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define KERNEL(name, threads, ...) \
  extern "C" __global__ __launch_bounds__(threads) void name(__VA_ARGS__)
#define SHARED __shared__

namespace sluice::gpu {

__forceinline__ int thread() { return threadIdx.x; }
__forceinline__ int block_x() { return blockIdx.x; }
__forceinline__ int block_y() { return blockIdx.y; }
__forceinline__ int block_z() { return blockIdx.z; }
__forceinline__ int blocks_x() { return gridDim.x; }

// Waits for all threads of the block.
__forceinline__ void sync() { __syncthreads(); }
// The value of lane (own lane xor k) of the warp; all 32 lanes call it.
__forceinline__ float shuffle_xor(float x, int k) { return __shfl_xor_sync(0xffffffffu, x, k); }
__forceinline__ u32 shuffle_xor(u32 x, int k) { return __shfl_xor_sync(0xffffffffu, x, k); }
__forceinline__ double shuffle_xor(double x, int k) { return __shfl_xor_sync(0xffffffffu, x, k); }

__forceinline__ float float_of(u32 bits) { return __uint_as_float(bits); }
__forceinline__ u32 bits_of(float x) { return __float_as_uint(x); }
__forceinline__ u32 high_product(u32 a, u32 b) { return __umulhi(a, b); }

// Two floats as bf16, rounded to nearest even, `first` in the lower half.
__forceinline__ u32 pack(float first, float second) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
  return r;
}
// The larger of each pair of bf16.
__forceinline__ u32 max_of_pairs(u32 a, u32 b) {
  u32 r;
  asm("max.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
// 2^x, 2 ulp.
__forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// Ends the lifetime of values derived from x, which the compiler would otherwise keep in registers.
__forceinline__ void reload(uint4& x) {
  asm volatile("" : "+r"(x.x), "+r"(x.y), "+r"(x.z), "+r"(x.w));
}

}  // namespace sluice::gpu
