// The three matrix products of a linear layer y = x Wᵀ. x, dy and W have the same dtype (fp32 or
// bf16); the gradient of W is fp32. Shapes: N rows, I in, O out.
#pragma once

#include <ATen/core/Tensor.h>

namespace sluice::ops {

// y = x Wᵀ
void forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI, const at::Tensor& weight_OI);
// dx = dy W
void data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO, const at::Tensor& weight_OI);
// dx += dy W, in fp32
void add_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                       const at::Tensor& weight_OI);
// gradient += dyᵀ x
void add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                         const at::Tensor& x_NI);

}  // namespace sluice::ops
