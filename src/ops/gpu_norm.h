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

// x fp32; the update, if any, fp32 or bf16. bias may be nullptr.
NormOutput gpu_norm(const Residual& residual, const Weight& scale, const Weight* bias,
                    const GpuNorm& norm);

}  // namespace sluice::ops
