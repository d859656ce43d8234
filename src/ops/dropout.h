// Dropout (Srivastava et al. 2014) from the counter-based generator: no generator state, the same mask whatever the micro-batch size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"

namespace sluice::ops {

// x [B, ...]: element e of row b is dropped with `probability` by the stream keyed (seed, "dropout", step, first_sample + b, place) at
// position e, kept ones are divided by 1 − probability. `place` numbers the call sites of a model. Identity unless context.training.
at::Tensor dropout(const at::Tensor& x, double probability, std::uint64_t place, const Context& context);

}  // namespace sluice::ops
