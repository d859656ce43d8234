// Dropout masks in groups of 64 elements: 16 Philox blocks in parallel in vector registers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/kernels.h"

namespace sluice::ops {

// With the row's key, element e uses word (e mod 64) / 16 of Philox block 16·(e / 64) + e mod 16.
struct DropoutGroup {
  static constexpr std::int64_t kLanes = 16, kWords = 4, kElements = kLanes * kWords;
};

struct DropoutRow {
  std::uint64_t key;
  std::uint32_t threshold;  // smaller words drop their element
  float keep_scale;
  std::int64_t first_group, num_elements;  // start and length of this part of the row
};

struct DropoutKernel {
  // Philox4x32-10 (see base/random.h) for the blocks of one group.
  [[gnu::always_inline]] static inline void words_of(std::uint64_t key, std::uint64_t first_block,
                                                     std::uint32_t* __restrict words) {
    constexpr std::int64_t kLanes = DropoutGroup::kLanes;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t block = first_block + static_cast<std::uint64_t>(lane);
      auto c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32);
      std::uint32_t c2 = 0, c3 = 0;
      auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
      for (int round = 0; round < 10; ++round) {
        const std::uint64_t first = std::uint64_t{0xD2511F53} * c0,
                            second = std::uint64_t{0xCD9E8D57} * c2;
        c0 = static_cast<std::uint32_t>(second >> 32) ^ c1 ^ key0;
        c2 = static_cast<std::uint32_t>(first >> 32) ^ c3 ^ key1;
        c1 = static_cast<std::uint32_t>(second);
        c3 = static_cast<std::uint32_t>(first);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
      }
      words[lane] = c0;
      words[kLanes + lane] = c1;
      words[2 * kLanes + lane] = c2;
      words[3 * kLanes + lane] = c3;
    }
  }

  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* __restrict x, T* __restrict y,
                                                DropoutRow row) {
    std::uint32_t words[DropoutGroup::kElements];
    for (std::int64_t first = 0; first < row.num_elements; first += DropoutGroup::kElements) {
      words_of(row.key,
               static_cast<std::uint64_t>((row.first_group + first / DropoutGroup::kElements) *
                                          DropoutGroup::kLanes),
               words);
      const std::int64_t n = std::min(DropoutGroup::kElements, row.num_elements - first);
      for (std::int64_t i = 0; i < n; ++i) {
        const float kept = words[i] >= row.threshold ? row.keep_scale : 0.0f;
        store(load(x[first + i]) * kept, y[first + i]);
      }
    }
  }
};

}  // namespace sluice::ops
