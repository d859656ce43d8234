// CPU kernel support: storage types, and dispatch of one kernel body to several instruction sets.
//
// A kernel is a struct with a static always-inline run(...) made of plain loops. run_kernel<K>(...)
// calls the instantiation compiled for the widest vector extension of this CPU. Other modules and
// tests define kernels the same way.
#pragma once

#include <bit>
#include <cstdint>

#include "base/machine.h"

namespace sluice::ops {

// bfloat16 in memory: the upper half of an fp32.
struct Bf16 {
  std::uint16_t bits;
};

[[gnu::always_inline]] inline float load(float x) { return x; }
[[gnu::always_inline]] inline float load(Bf16 x) {
  return std::bit_cast<float>(std::uint32_t{x.bits} << 16);
}

[[gnu::always_inline]] inline void store(float value, float& to) { to = value; }
// Rounds to nearest, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline void store(float value, Bf16& to) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  const std::uint32_t quiet = bits | 0x400000u;
  const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  to.bits = static_cast<std::uint16_t>((is_nan ? quiet : rounded) >> 16);
}

template <typename Kernel, typename... Args>
void run_baseline(Args... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
[[gnu::target("avx2,fma")]] void run_avx2(Args... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")]] void
run_avx512(Args... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
void run_kernel(Args... args) {
  const CpuFeatures& cpu = usable_features();
  if (cpu.avx512) return run_avx512<Kernel>(args...);
  if (cpu.avx2) return run_avx2<Kernel>(args...);
  run_baseline<Kernel>(args...);
}

}  // namespace sluice::ops
