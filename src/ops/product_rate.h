// How fast this processor multiplies matrices: the measure that a training speed is held against (mfu, docs/metrics.md; `sluice doctor`).
#pragma once

#include <c10/core/ScalarType.h>

namespace sluice::ops {

// FLOP/s, a multiply-add as two, of the product [2048, 512] x [512, 1024] in `dtype` with the threads that are set: the shape that small models
// spend their time in. The best of the repetitions that fit into `seconds`, two at least. Draws no random numbers and leaves no state behind.
double measure_product_rate(c10::ScalarType dtype, double seconds);

}  // namespace sluice::ops
