// Normalization over the last dimension with fp32 statistics.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops {

// The residual stream x + update. The output of a sublayer is added together with the next norm,
// which reads the sum anyway. x fp32 [..., d]; update [..., d] in any dtype, undefined: none.
struct Residual {
  at::Tensor x, update;
  at::Tensor sum() const { return update.defined() ? x + update : x; }
};
struct NormOutput {
  at::Tensor sum;  // fp32 [..., d]
  at::Tensor y;    // the norm of the sum
};

// x · scale / sqrt(mean(x²) + eps) (Zhang & Sennrich 2019). x fp32 [..., d] -> `out` [..., d].
at::Tensor rms_norm(const at::Tensor& x, const Weight& scale, double eps, at::ScalarType out,
                    const Context& context);
NormOutput add_rms_norm(const Residual& residual, const Weight& scale, double eps,
                        at::ScalarType out, const Context& context);

// (x − mean) · scale / sqrt(var + eps) + bias (Ba et al. 2016); bias may be nullptr.
at::Tensor layer_norm(const at::Tensor& x, const Weight& scale, const Weight* bias, double eps,
                      at::ScalarType out, const Context& context);
NormOutput add_layer_norm(const Residual& residual, const Weight& scale, const Weight* bias,
                          double eps, at::ScalarType out, const Context& context);

}  // namespace sluice::ops
