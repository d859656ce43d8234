#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kAvx512RowKernels = row_kernels_body::kKernels;

}  // namespace sluice::ops
