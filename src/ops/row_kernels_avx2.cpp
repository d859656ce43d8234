#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kAvx2RowKernels = row_kernels_body::kKernels;

}  // namespace sluice::ops
