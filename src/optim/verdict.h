// Whether loss and gradient norm let an update move the weights: both are finite and within their limits.
#pragma once

#include <ATen/core/Tensor.h>

#include "optim/optimizer.h"

namespace sluice::optim {

bool may_move(const Update& update, double norm);                   // scalars in host memory, read in place
at::Tensor may_move(const Update& update, const at::Tensor& norm);  // the same on any device, without waiting for it: bool

// A scalar where `like` lives.
at::Tensor scalar_like(const at::Tensor& like, double value, at::ScalarType type = at::kDouble);

}  // namespace sluice::optim
