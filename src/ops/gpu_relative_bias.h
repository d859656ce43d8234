// Launches of the kernels in ops/relative_bias.cu and ops/bias_gradient.cu.
#pragma once

#include <ATen/core/Tensor.h>

#include "gpu/device.h"
#include "ops/attention_core.h"

namespace sluice::ops {

// The bias of every pair in `dtype`, [H, T, S] with rows padded to a multiple of 8 elements, from
// bias_HR, fp32 [H, T + S − 1].
at::Tensor expand_bias(gpu::Device& device, const at::Tensor& bias_HR, std::int64_t num_queries,
                       at::ScalarType dtype);

// The gradient of bias_HR, fp32 [H, T + S − 1]. bf16 with 64 elements per head runs on tensor
// cores. dy_BTHD is contiguous.
at::Tensor bias_gradient(gpu::Device& device, const CoreInputs& inputs, const CoreResult& result,
                         const at::Tensor& dy_BTHD);

}  // namespace sluice::ops
