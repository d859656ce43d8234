// Dropout (Srivastava et al. 2014) from the counter-based generator: no generator state, the same mask whatever the micro-batch size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"

namespace sluice::ops {

// One place of dropout in a model: `place` numbers it, and a place may drop with a probability of its own.
struct Dropout {
  double probability = 0;
  std::uint64_t place = 0;
  bool active(const Context& context) const { return context.training && probability > 0; }
};

// x [B, ...]: element e of row b is dropped with `probability` by the stream keyed (seed, "dropout", step, first_sample + b, place) at
// position e, kept ones are divided by 1 − probability. `place` numbers the call sites of a model. Identity unless context.training.
at::Tensor dropout(const at::Tensor& x, double probability, std::uint64_t place, const Context& context);
inline at::Tensor dropout(const at::Tensor& x, const Dropout& at, const Context& context) {
  return dropout(x, at.probability, at.place, context);
}

}  // namespace sluice::ops
