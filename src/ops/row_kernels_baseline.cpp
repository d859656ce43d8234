#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kBaselineRowKernels = row_kernels_body::kKernels;

}  // namespace sluice::ops
