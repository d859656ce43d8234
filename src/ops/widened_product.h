// bf16 matrix products as fp32 products of widened operands, for CPUs without bf16 in hardware.
// LibTorch's bf16 products take 10 to 100 times as long there as its fp32 products. The product of
// two bf16 numbers is exact in fp32, so results differ only in the order of sums.
#pragma once

#include <ATen/core/Tensor.h>

namespace sluice::ops {

// For CPU tensors in bf16.
bool widened_product_is_faster();

// As in ops/matrix_product.h; x, dy and W in bf16, a part of each at a time.
void widened_forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI,
                             const at::Tensor& weight_OI);
void widened_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                           const at::Tensor& weight_OI);
void widened_add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                                 const at::Tensor& x_NI);

}  // namespace sluice::ops
