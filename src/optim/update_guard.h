// Decides whether an update is applied: loss and gradient norm are finite and within their limits.
#pragma once

#include <ATen/core/Tensor.h>

#include "optim/optimizer.h"

namespace sluice::optim {

bool should_apply(const Update& update, double norm);                   // scalars in host memory, read in place
at::Tensor should_apply(const Update& update, const at::Tensor& norm);  // on any device, without synchronizing: bool

// A scalar on the device of `like`.
at::Tensor scalar_like(const at::Tensor& like, double value, at::ScalarType type = at::kDouble);

}  // namespace sluice::optim
