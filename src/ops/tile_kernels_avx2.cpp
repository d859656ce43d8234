#include "ops/tile_kernels_body.h"

namespace sluice::ops {

const TileKernel kAvx2TileKernel = tile_kernels_body::multiply_tile;

}  // namespace sluice::ops
