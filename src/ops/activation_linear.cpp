// Shapes: N rows (all leading dimensions), n hidden width, O out.
#include "ops/activation_linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/gpu_activation.h"
#include "ops/linear.h"
#include "ops/linear_passes.h"
#include "ops/matrix_product.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor value_or_none(const Weight* weight) {
  return weight != nullptr ? weight->value : at::Tensor();
}

struct Call {
  const ActivationLinear& layer;
  gpu::Device& device;
};

// The leaves are inputs so that autograd reaches them. `layer.f` and `device` outlive the graph.
struct GpuActivationLinear : torch::autograd::Function<GpuActivationLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& maybe_scalars, const Call& call) {
    const ActivationLinear& layer = call.layer;
    const at::Tensor ab = input.contiguous(), scalars = maybe_scalars.value_or(at::Tensor());
    const at::Tensor h = GpuActivation{call.device, layer.f, layer.gated, scalars}.forward(ab);
    ctx->save_for_backward(
        {ab, weight, bias.value_or(at::Tensor()), layer.weight.compute, scalars});
    ctx->saved_data["activation"] = reinterpret_cast<std::int64_t>(&layer.f);
    ctx->saved_data["gated"] = layer.gated;
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(&call.device);
    return linear_forward(h, layer.weight, layer.bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &ab = saved[0], &weight = saved[1], &bias = saved[2], &compute_On = saved[3];
    const GpuActivation f{
        *reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt()),
        *reinterpret_cast<const Activation*>(ctx->saved_data["activation"].toInt()),
        ctx->saved_data["gated"].toBool(), saved[4]};
    const at::Tensor dy_NO = rows_of(gradients[0]);
    const at::Tensor dh_Nn = at::empty({dy_NO.size(0), weight.size(1)}, ab.options());
    data_gradient(dh_Nn, dy_NO, compute_On);
    const at::Tensor h_Nn = at::empty_like(dh_Nn);
    const at::Tensor dab = f.backward(ab, dh_Nn, h_Nn);
    add_linear_gradients(weight, bias, dy_NO, h_Nn);
    return {dab, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor activation_linear(const at::Tensor& ab, const ActivationLinear& layer,
                             const Context& context) {
  gpu::Device* device = gpu_for(ab, context);
  if (device == nullptr) {
    const at::Tensor h = layer.gated ? glu(ab, layer.f, context, layer.scalars)
                                     : activate(ab, layer.f, context, layer.scalars);
    return linear(h, layer.weight, layer.bias, context);
  }
  invariant(ab.size(-1) == (layer.gated ? 2 : 1) * layer.weight.value.size(1),
            "the input of an activation has the width of the layer after it");
  invariant(layer.f.scalars.empty() == (layer.scalars == nullptr),
            "an activation receives its learned scalars");
  return GpuActivationLinear::apply(ab, layer.weight.value, if_defined(value_or_none(layer.bias)),
                                    if_defined(value_or_none(layer.scalars)), Call{layer, *device});
}

}  // namespace sluice::ops
