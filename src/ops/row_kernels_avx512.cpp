#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kAvx512RowKernels = kKernels;

}  // namespace sluice::ops
