#include "ops/tile_kernels.h"

#include "base/machine.h"

namespace sluice::ops {

const TileKernel& tile_kernel() {
  const Machine& cpu = machine();
  return cpu.avx512 ? kAvx512TileKernel : cpu.avx2 ? kAvx2TileKernel : kBaselineTileKernel;
}

}  // namespace sluice::ops
