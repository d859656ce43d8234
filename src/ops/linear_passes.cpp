#include "ops/linear_passes.h"

#include <ATen/ATen.h>

#include <vector>

#include "ops/choose.h"
#include "ops/matrix_product.h"
#include "ops/portable.h"

namespace sluice::ops {

at::Tensor rows_of(const at::Tensor& x) { return x.contiguous().view({-1, x.size(-1)}); }

at::Tensor linear_forward(const at::Tensor& x, const Weight& weight, const Weight* bias) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.value.size(0);
  const at::Tensor y = at::empty(shape, x.options());
  forward_product(y.view({-1, shape.back()}), rows_of(x), weight.compute);
  if (bias != nullptr) y.add_(bias->compute);
  return y;
}

void add_linear_gradients(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& dy_NO,
                          const at::Tensor& x_NI) {
  if (weight.requires_grad()) add_weight_gradient(gradient_of(weight), dy_NO, x_NI);
  if (bias.defined() && bias.requires_grad()) gradient_of(bias).add_(ordered_column_sums(dy_NO));
}

}  // namespace sluice::ops
