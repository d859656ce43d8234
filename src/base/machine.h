// Host CPU features, memory and CPU count.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

struct CpuFeatures {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;  // avx2: and FMA
  bool has_fast_bf16() const { return avx512_bf16 || amx_bf16; }
  std::string features() const;  // "avx2 avx512 ..." for run.json and doctor
};

struct Machine : CpuFeatures {
  std::string cpu_model;  // "AMD EPYC ...", from /proc/cpuinfo
  int num_cpus = 1;       // CPUs available to this process (affinity and cgroup quota)
  // CPUs that processes like this one share: num_cpus, but all of the machine if this process is
  // bound to some of them, because a launcher may have bound the others to others.
  int num_shared_cpus = 1;
  std::uint64_t memory_bytes = 0;  // physical memory, or the cgroup limit if lower
};

const Machine& machine();

// The features that kernels use: those of machine(), or at most AVX2 and FMA (ops/portable.h).
const CpuFeatures& usable_features();
void use_at_most_avx2(bool limit);  // while no kernel runs

// Peak resident memory of this process so far, from the kernel.
std::uint64_t peak_memory_bytes();

}  // namespace sluice
