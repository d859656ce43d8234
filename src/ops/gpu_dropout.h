// Dropout (ops/dropout.h) on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/context.h"

namespace sluice::ops {

// probability · 2^32 and 1 / (1 − probability).
struct DropoutMask {
  std::uint32_t threshold;  // smaller words drop their element
  double keep_scale;
};

// The step is read from context.device_step if that is defined.
at::Tensor gpu_dropout(const at::Tensor& x, const DropoutMask& mask, std::uint64_t site,
                       const Context& context);

}  // namespace sluice::ops
