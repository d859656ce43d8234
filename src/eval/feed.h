// Copies host batches to device tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/batch.h"
#include "model/batch.h"

namespace sluice::eval {

model::Batch to_device(const data::Batch& batch, at::Device device);

}  // namespace sluice::eval
