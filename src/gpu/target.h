// The kernel language on a GPU: what tests/gpu/host_target.h defines for the host. Compiled by
// NVRTC only.
//
//   KERNEL(name, threads, parameters...) { body }   an entry for blocks of at most `threads`
//   SHARED                                          storage shared by the threads of a block
#pragma once

typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// A multiprocessor has registers for at least 384 threads of smaller blocks: at most 168 each.
#define KERNEL(name, threads, ...)                                                             \
  extern "C" __global__ __launch_bounds__(threads, (threads) < 384 ? 384 / (threads) : 1) void \
  name(__VA_ARGS__)
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

// Shared memory of the size that the launch asks for (Grid::shared_bytes), aligned to 128 bytes.
__forceinline__ unsigned char* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char memory[];
  return memory;
}
// The address of a place in shared memory, in bytes.
typedef u32 SharedAddress;
__forceinline__ SharedAddress shared_address(const void* p) {
  return static_cast<u32>(__cvta_generic_to_shared(p));
}
// Starts to copy 16 bytes from global to shared memory, or to write zeros if not `valid`. `from` is
// a valid address in both cases. Both addresses are multiples of 16.
__forceinline__ void copy_16(SharedAddress to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
// The copies that this thread has started since the last call form a group.
__forceinline__ void end_group_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for this thread's groups except the last `pending`; sync() makes all threads see them.
template <int pending>
__forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements; lane i has the address of row i % 8 of matrix i / 8. In
// register m, lane i receives elements 2 (i % 4) and the next one of row i / 4 of matrix m.
__forceinline__ void load_matrices(u32 (&r)[4], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
// c += a b: 16 x 16 times 16 x 8 bf16, sums in fp32; fragments as in PTX's mma.m16n8k16.
__forceinline__ void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Ends the lifetime of values derived from x, which the compiler would otherwise keep in registers.
__forceinline__ void reload(uint4& x) {
  asm volatile("" : "+r"(x.x), "+r"(x.y), "+r"(x.z), "+r"(x.w));
}

}  // namespace sluice::gpu
