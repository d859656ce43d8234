// Dropout masks in groups of 64 elements: 16 Philox blocks in parallel in vector registers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/philox.h"
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
  // The blocks of one group.
  [[gnu::always_inline]] static inline void words_of(std::uint64_t key, std::uint64_t first_block,
                                                     std::uint32_t* __restrict words) {
    constexpr std::int64_t kLanes = DropoutGroup::kLanes;
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const PhiloxBlock block =
          philox_block(key, first_block + static_cast<std::uint64_t>(lane), 0);
      for (std::int64_t k = 0; k < DropoutGroup::kWords; ++k)
        words[k * kLanes + lane] = block.word[k];
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
