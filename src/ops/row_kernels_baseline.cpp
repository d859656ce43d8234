#include "ops/row_kernels_body.h"

namespace sluice::ops {

const RowKernels kBaselineRowKernels = kKernels;

}  // namespace sluice::ops
