// fp32 matrix products of a tile that fits in the L2 cache, compiled once per instruction set.
// Every element of C is a chain of fused multiply-adds over k in increasing order, starting from 0
// or, with `add`, from its value. It therefore has the same bits for any division of M, N and K
// and with each instruction set that has these (AVX2 and AVX-512; the baseline rounds twice).
#pragma once

#include <cstdint>

namespace sluice::ops {

// C [M, N] = A [M, K] · B [K, N]; strides are elements between rows.
struct TileShape {
  std::int64_t M, N, K, stride_a, stride_b, stride_c;
};
struct TileKernel {
  void (*multiply)(const TileShape& shape, const float* a, const float* b, float* c,
                   bool add) = nullptr;
  int panel = 0;  // columns of B that are read fastest if they lie next to each other
};

extern const TileKernel kBaselineTileKernel, kAvx2TileKernel, kAvx512TileKernel;
// That for this processor.
const TileKernel& tile_kernel();

}  // namespace sluice::ops
