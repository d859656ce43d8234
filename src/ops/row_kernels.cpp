#include "ops/row_kernels.h"

#include "base/machine.h"

namespace sluice::ops {

const RowKernels& row_kernels() {
  const CpuFeatures& cpu = usable_features();
  return cpu.avx512 ? kAvx512RowKernels : cpu.avx2 ? kAvx2RowKernels : kBaselineRowKernels;
}

}  // namespace sluice::ops
