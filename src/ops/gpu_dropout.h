// Dropout (ops/dropout.h) on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/context.h"

namespace sluice::ops {

// probability · 2^32 and 1 / (1 − probability).
struct DropoutMask {
  std::uint32_t threshold;  // smaller words drop their element
  double keep_scale;
};

inline DropoutMask dropout_mask(double probability) {
  return {static_cast<std::uint32_t>(std::min(std::ldexp(probability, 32), 4294967295.0)),
          1.0 / (1.0 - probability)};
}

// One key per row of a micro-batch, int64 [rows] on the device of `like`. The step is read from
// context.device_step if that is defined.
at::Tensor gpu_dropout_keys(std::int64_t rows, std::uint64_t site, const Context& context,
                            const at::Tensor& like);

// The step is read from context.device_step if that is defined.
at::Tensor gpu_dropout(const at::Tensor& x, const DropoutMask& mask, std::uint64_t site,
                       const Context& context);

}  // namespace sluice::ops
