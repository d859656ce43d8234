// Shapes: N rows (all leading dimensions), I in, O out.
#include "ops/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/linear_passes.h"
#include "ops/matrix_product.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor reference_linear(const at::Tensor& x, const Weight& weight, const Weight* bias) {
  const at::ScalarType dtype = weight.compute.scalar_type();
  const at::Tensor y = at::matmul(x, weight.value.to(dtype).t());
  return bias ? y + bias->value.to(dtype) : y;
}

// The leaves are inputs so that autograd reaches them; gradients are written directly to the arena.
struct FusedLinear : torch::autograd::Function<FusedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const Weight* compute,
                            const Weight* bias_compute) {
    ctx->save_for_backward({x, weight, bias.value_or(at::Tensor()), compute->compute});
    return linear_forward(x, *compute, bias_compute);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &compute_OI = saved[3];
    const at::Tensor dy_NO = rows_of(gradients[0]);
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = at::empty(x.sizes(), x.options());
      data_gradient(dx.view({-1, x.size(-1)}), dy_NO, compute_OI);
    }
    add_linear_gradients(weight, bias, dy_NO, rows_of(x));
    return {dx, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const Weight& weight, const Weight* bias,
                  const Context& context) {
  invariant(weight.value.dim() == 2 && x.dim() > 0 && x.size(-1) == weight.value.size(1),
            "the input of a linear layer has the width of its weight");
  invariant(x.scalar_type() == weight.compute.scalar_type(),
            "the input of a linear layer has the compute dtype of its weight");
  invariant(!bias || (bias->value.dim() == 1 && bias->value.size(0) == weight.value.size(0)),
            "a bias has one element per output");
  if (!use_fused(x, context)) return reference_linear(x, weight, bias);
  const std::optional<at::Tensor> bias_value = bias ? std::optional(bias->value) : std::nullopt;
  return FusedLinear::apply(x, weight.value, bias_value, &weight, bias);
}

}  // namespace sluice::ops
