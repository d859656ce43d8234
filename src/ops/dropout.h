// Dropout (Srivastava et al. 2014) from the counter-based generator: no generator state, the same mask whatever the micro-batch size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "ops/context.h"

namespace sluice::ops {

// One place of dropout in a model, with a probability of its own.
struct Dropout {
  double probability = 0;
  std::uint64_t place = 0;  // see place_named()
  bool active(const Context& context) const { return context.training && probability > 0; }
};

// The number of the place with a logical name, such as "blocks.0.ffn.hidden". Masks follow from it: a place keeps them whatever other
// places a model has.
std::uint64_t place_named(std::string_view logical_name);

// x [B, ...]: element e of row b is dropped with `probability` by the stream keyed (seed, "dropout", step, first_sample + b, place) at
// position e, kept ones are divided by 1 − probability. Identity unless context.training.
at::Tensor dropout(const at::Tensor& x, double probability, std::uint64_t place, const Context& context);
inline at::Tensor dropout(const at::Tensor& x, const Dropout& at, const Context& context) {
  return dropout(x, at.probability, at.place, context);
}

}  // namespace sluice::ops
