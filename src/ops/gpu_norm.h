// The norms of ops/norm.h on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/norm.h"

namespace sluice::ops {

struct GpuNorm {
  gpu::Device* device;
  double eps;
  bool centered;  // layer_norm
  at::ScalarType out;
};

// P, the partial sums of the scale's gradient in the backward pass, fp32 [P, d].
std::int64_t gpu_norm_partials(std::int64_t rows, std::int64_t d);

// x fp32; the update, if any, fp32 or bf16. bias may be nullptr.
NormOutput gpu_norm(const Residual& residual, const Weight& scale, const Weight* bias,
                    const GpuNorm& norm);

}  // namespace sluice::ops
