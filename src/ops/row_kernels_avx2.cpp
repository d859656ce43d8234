#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kAvx2RowKernels = kKernels;

}  // namespace sluice::ops
