#include "ops/tile_kernels.h"

#include "base/machine.h"

namespace sluice::ops {

TileKernel tile_kernel() { return usable_features().avx2 ? kAvx2TileKernel : kBaselineTileKernel; }

}  // namespace sluice::ops
