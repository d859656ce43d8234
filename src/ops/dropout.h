// Dropout (Srivastava et al. 2014) from the counter-based generator: no generator state, and masks
// do not depend on the micro-batch size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "ops/context.h"

namespace sluice::ops {

// One dropout site of a model and its probability.
struct Dropout {
  double probability = 0;
  std::uint64_t site = 0;  // see dropout_site()
  bool active(const Context& context) const { return context.training && probability > 0; }
};

// The ID of the dropout site with this logical name, e.g. "blocks.0.ffn.hidden". Masks depend only
// on the ID, not on the other sites of the model.
std::uint64_t dropout_site(std::string_view logical_name);

// x [B, ...]: element e of row b is dropped with `probability`, using position e of the random
// stream with key (seed, "dropout", step, first_sample + b, site). Other elements are divided by
// 1 − probability. Identity unless context.training.
at::Tensor dropout(const at::Tensor& x, double probability, std::uint64_t site,
                   const Context& context);
inline at::Tensor dropout(const at::Tensor& x, const Dropout& settings, const Context& context) {
  return dropout(x, settings.probability, settings.site, context);
}

}  // namespace sluice::ops
