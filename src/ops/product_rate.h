// Matrix product throughput of this processor, the denominator of mfu (docs/metrics.md; also
// reported by `sluice doctor`).
#pragma once

#include <c10/core/ScalarType.h>

namespace sluice::ops {

// FLOP/s (a multiply-add counts as two) of the product [2048, 512] x [512, 1024], a typical shape
// of small models, in `dtype` with the current number of threads. The best repetition within
// `seconds`; at least one after a warm-up. Draws no random numbers and has no side effects.
double measure_product_rate(c10::ScalarType dtype, double seconds);

}  // namespace sluice::ops
