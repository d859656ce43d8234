#include "ops/tile_kernels_body.h"

namespace sluice::ops {

const TileKernel kBaselineTileKernel = tile_kernels_body::multiply_tile;

}  // namespace sluice::ops
