// fp32 matrix products of a tile that fits in the L2 cache, compiled once per instruction set.
// Every element of C is a chain of fused multiply-adds over k in increasing order, starting from 0
// or, with `add`, from its value, so it has the same bits for any division of M, N and K. Without
// AVX2 each term is rounded twice.
#pragma once

#include <cstdint>

namespace sluice::ops {

// C [M, N] = A [M, K] · B [K, N]; strides are elements between rows.
struct TileShape {
  std::int64_t M, N, K, stride_a, stride_b, stride_c;
};
using TileKernel = void (*)(const TileShape& shape, const float* a, const float* b, float* c,
                            bool add);

extern const TileKernel kBaselineTileKernel, kAvx2TileKernel;
// That for this processor.
TileKernel tile_kernel();

}  // namespace sluice::ops
