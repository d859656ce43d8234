// Normalization over the last dimension with fp32 statistics.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

// x · scale / sqrt(mean(x²) + eps) (Zhang & Sennrich 2019). x fp32 [..., d] -> `out` [..., d].
at::Tensor rms_norm(const at::Tensor& x, const Weight& scale, double eps, at::ScalarType out,
                    const Context& context);

// (x − mean) · scale / sqrt(var + eps) + bias (Ba et al. 2016); bias may be nullptr.
at::Tensor layer_norm(const at::Tensor& x, const Weight& scale, const Weight* bias, double eps,
                      at::ScalarType out, const Context& context);

}  // namespace sluice::ops
