// Decides whether an update is applied: loss and gradient norm must be finite and within limits.
#pragma once

#include <ATen/core/Tensor.h>

#include "optim/optimizer.h"

namespace sluice::optim {

// For scalars in host memory.
bool should_apply(const Update& update, double norm);
// For any device, without synchronizing; a bool scalar.
at::Tensor should_apply(const Update& update, const at::Tensor& norm);

// A scalar on the device of `like`.
at::Tensor scalar_like(const at::Tensor& like, double value, at::ScalarType type = at::kDouble);

}  // namespace sluice::optim
