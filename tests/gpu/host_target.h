// The kernel language on the host, in place of src/gpu/target.h: each thread of a block is a fiber
// that runs until it has to wait. Compiled at run time by tests/gpu/host_device.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

struct float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  u32 x, y;
};
struct alignas(16) uint4 {
  u32 x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }

// Provided by the host device.
struct HostThread {
  int thread, block[3], blocks_x;
};
struct HostRuntime {
  const HostThread* (*current)();
  void (*sync)();
  // Waits for the warp; returns the `bytes` that each of the 32 lanes passed, in order.
  const void* (*gather)(const void* mine, unsigned bytes);
};
inline const HostRuntime* host_runtime = nullptr;
extern "C" void bind_host_runtime(const HostRuntime* runtime) { host_runtime = runtime; }

namespace host {

template <class T>
constexpr char type_of() {
  if constexpr (std::is_pointer_v<T>) return 'p';
  if constexpr (std::is_same_v<T, i64>) return 'i';
  if constexpr (std::is_same_v<T, float>) return 'f';
  if constexpr (std::is_same_v<T, double>) return 'd';
}
template <class... Args>
const char* types_of(void (*)(Args...)) {
  static const char types[] = {type_of<Args>()..., '\0'};
  return types;
}
template <class... Args, std::size_t... I>
void call(void (*body)(Args...), const void* const* arguments, std::index_sequence<I...>) {
  body(*static_cast<const Args*>(arguments[I])...);
}
template <class... Args>
void call(void (*body)(Args...), const void* const* arguments) {
  call(body, arguments, std::index_sequence_for<Args...>());
}

}  // namespace host

#define KERNEL(name, threads, ...)                                                              \
  static void name##_thread(__VA_ARGS__);                                                       \
  extern "C" void name(const void* const* arguments) { host::call(&name##_thread, arguments); } \
  extern "C" const char* name##_types() { return host::types_of(&name##_thread); }              \
  extern "C" int name##_threads() { return threads; }                                           \
  static void name##_thread(__VA_ARGS__)
// One block at a time.
#define SHARED static

// Instructions by their CUDA names.
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

using std::isfinite;
using std::max;
using std::min;

namespace sluice::gpu {

inline int thread() { return host_runtime->current()->thread; }
inline int block_x() { return host_runtime->current()->block[0]; }
inline int block_y() { return host_runtime->current()->block[1]; }
inline int block_z() { return host_runtime->current()->block[2]; }
inline int blocks_x() { return host_runtime->current()->blocks_x; }
inline void sync() { host_runtime->sync(); }
template <class T>
inline T shuffle_xor(T x, int k) {
  T all[32];
  std::memcpy(all, host_runtime->gather(&x, sizeof x), sizeof all);
  return all[thread() % 32 ^ k];
}

inline float float_of(u32 bits) { return __builtin_bit_cast(float, bits); }
inline u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }
inline u32 rounded_to_bf16(float x) {
  const u32 bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;  // NaN, as on a GPU
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
inline u32 pack(float first, float second) {
  return rounded_to_bf16(first) | rounded_to_bf16(second) << 16;
}
inline u32 max_of_pairs(u32 a, u32 b) {
  const auto larger = [](u32 x, u32 y) { return float_of(x << 16) < float_of(y << 16) ? y : x; };
  return (larger(a & 0xffffu, b & 0xffffu) & 0xffffu) | larger(a >> 16, b >> 16) << 16;
}
inline float power_of_two(float x) { return std::exp2(x); }
inline void reload(uint4&) {}

inline unsigned char* dynamic_shared() {
  alignas(128) static unsigned char memory[227 * 1024];
  return memory;
}
using SharedAddress = std::uintptr_t;
inline SharedAddress shared_address(const void* p) { return reinterpret_cast<SharedAddress>(p); }

// Bytes arrive when the thread waits for them, not earlier, so that tests notice a missing wait.
struct Copy {
  SharedAddress to;
  const void* from;
  bool valid;
};
struct Copies {
  std::vector<Copy> started;
  std::deque<std::vector<Copy>> groups;
};
inline Copies& own_copies() {
  static Copies of_thread[1024];
  return of_thread[thread()];
}
inline void copy_16(SharedAddress to, const void* from, bool valid) {
  own_copies().started.push_back({to, from, valid});
}
inline void end_group_of_copies() {
  own_copies().groups.push_back(std::move(own_copies().started));
  own_copies().started.clear();
}
template <int pending>
void wait_for_copies() {
  for (auto& groups = own_copies().groups; groups.size() > pending; groups.pop_front())
    for (const Copy& copy : groups.front()) {
      if (copy.valid)
        std::memcpy(reinterpret_cast<void*>(copy.to), copy.from, 16);
      else
        std::memset(reinterpret_cast<void*>(copy.to), 0, 16);
    }
}

inline void load_matrices(u32 (&r)[4], SharedAddress row) {
  SharedAddress rows[32];
  std::memcpy(rows, host_runtime->gather(&row, sizeof row), sizeof rows);
  const int lane = thread() % 32;
  for (int m = 0; m < 4; ++m)
    std::memcpy(&r[m], reinterpret_cast<const char*>(rows[8 * m + lane / 4]) + lane % 4 * 4, 4);
}
// Lane 4 i + j holds, of a: rows i and i + 8, columns 2 j, 2 j + 1 and 8 further; of b: the same
// rows as a's columns, column i; of c: rows i and i + 8, columns 2 j and 2 j + 1.
inline void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  struct Fragments {
    u32 a[4], b[2];
  };
  const Fragments own{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  Fragments all[32];
  std::memcpy(all, host_runtime->gather(&own, sizeof own), sizeof all);
  const auto element = [](u32 pair, int k) {
    return float_of(k % 2 ? pair & 0xffff0000u : pair << 16);
  };
  const int lane = thread() % 32;
  for (int e = 0; e < 4; ++e) {
    const int row = lane / 4, column = lane % 4 * 2 + e % 2;
    for (int k = 0; k < 16; ++k)
      c[e] += element(all[row * 4 + k % 8 / 2].a[e / 2 + k / 8 * 2], k) *
              element(all[column * 4 + k % 8 / 2].b[k / 8], k);
  }
}

}  // namespace sluice::gpu
