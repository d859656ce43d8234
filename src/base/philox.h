// Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"). One text for
// all processors: compilers vectorize it in the CPU kernels, and NVRTC compiles it for GPUs.
#pragma once

#include <cstdint>

namespace sluice {

struct PhiloxBlock {
  std::uint32_t word[4];
};

// Always inlined: a copy that was compiled for one instruction set must not serve another.
[[gnu::always_inline]] inline PhiloxBlock philox_block(std::uint64_t key, std::uint64_t counter_low,
                                                       std::uint64_t counter_high) {
  auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  auto c0 = static_cast<std::uint32_t>(counter_low),
       c1 = static_cast<std::uint32_t>(counter_low >> 32),
       c2 = static_cast<std::uint32_t>(counter_high),
       c3 = static_cast<std::uint32_t>(counter_high >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * c0,
                        second = std::uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<std::uint32_t>(second >> 32) ^ c1 ^ key0;
    c2 = static_cast<std::uint32_t>(first >> 32) ^ c3 ^ key1;
    c1 = static_cast<std::uint32_t>(second);
    c3 = static_cast<std::uint32_t>(first);
    key0 += 0x9E3779B9u;  // golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) − 1
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace sluice
