// ops::embedding (ops/linear.h) on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include "gpu/device.h"
#include "ops/parameters.h"

namespace sluice::ops {

// The gradient is summed in a fixed order.
at::Tensor gpu_embedding(const at::Tensor& ids_BT, const Weight& table, gpu::Device& device);

}  // namespace sluice::ops
