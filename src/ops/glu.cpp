// Shapes: n hidden width, any leading dimensions.
#include "ops/glu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/activation_kernels.h"
#include "ops/choose.h"
#include "ops/gpu_activation.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kElementsPerTask = 16384;

// bf16 is computed in fp32 and rounded once.
at::Tensor widened(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
}

at::Tensor reference_glu(const at::Tensor& ab, const Activation& f) {
  const std::int64_t n = ab.size(-1) / 2;
  const at::Tensor wide = widened(ab);
  return (f.reference(wide.narrow(-1, 0, n)) * wide.narrow(-1, n, n)).to(ab.scalar_type());
}

const ActivationKernelsOf<float>& kernels_for(const ActivationKernels& kernels, float) {
  return kernels.f32;
}
const ActivationKernelsOf<Bf16>& kernels_for(const ActivationKernels& kernels, Bf16) {
  return kernels.bf16;
}

// `width`: elements per row of x; `n`: elements per row of the result (width / 2 if gated).
struct GluRows {
  std::int64_t rows, width, n;
  bool gated() const { return width != n; }
};

GluRows glu_rows_of(const at::Tensor& x, bool gated) {
  const std::int64_t width = x.size(-1);
  return {width == 0 ? 0 : x.numel() / width, width, gated ? width / 2 : width};
}

template <typename Body>
void for_rows(const GluRows& size, const Body& body) {
  const std::int64_t rows_per_task =
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, size.width));
  at::parallel_for(0, size.rows, rows_per_task,
                   [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
}

std::vector<std::int64_t> result_shape(const at::Tensor& x, const GluRows& size) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = size.n;
  return shape;
}

at::Tensor forward_pass(const at::Tensor& x, const ActivationKernels& kernels,
                        const GluRows& size) {
  const at::Tensor y = at::empty(result_shape(x, size), x.options());
  with_stored_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const auto kernel =
        size.gated() ? kernels_for(kernels, type).gated : kernels_for(kernels, type).plain;
    for_rows(size, [&](std::int64_t first, std::int64_t rows) {
      kernel(read<T>(x) + first * size.width, write<T>(y) + first * size.n, rows, size.n);
    });
  });
  return y;
}

at::Tensor backward_pass(const at::Tensor& x, const at::Tensor& dy,
                         const ActivationKernels& kernels, const GluRows& size) {
  const at::Tensor dx = at::empty_like(x);
  with_stored_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const auto kernel = size.gated() ? kernels_for(kernels, type).gated_backward
                                     : kernels_for(kernels, type).plain_backward;
    for_rows(size, [&](std::int64_t first, std::int64_t rows) {
      kernel(read<T>(x) + first * size.width, read<T>(dy) + first * size.n,
             write<T>(dx) + first * size.width, rows, size.n);
    });
  });
  return dx;
}

// Backward recomputes the result from the input, so only the input is saved. `f` and `device`
// outlive the graph.
struct FusedActivation : torch::autograd::Function<FusedActivation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const Activation& f,
                            bool gated, gpu::Device* device) {
    const at::Tensor x = input.contiguous();
    ctx->save_for_backward({x});
    ctx->saved_data["kernels"] = reinterpret_cast<std::int64_t>(f.kernels);
    ctx->saved_data["gated"] = gated;
    ctx->saved_data["type"] = std::string(f.type);
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(device);
    const GluRows size = glu_rows_of(x, gated);
    return device != nullptr ? GpuActivation{*device, f.type, gated}.forward(x)
                             : forward_pass(x, *f.kernels, size);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor x = ctx->get_saved_variables()[0], dy = gradients[0].contiguous();
    const GluRows size = glu_rows_of(x, ctx->saved_data["gated"].toBool());
    auto* device = reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt());
    if (device != nullptr)
      return {GpuActivation{*device, ctx->saved_data["type"].toStringRef(), size.gated()}.backward(
                  x, dy, at::Tensor()),
              at::Tensor(), at::Tensor(), at::Tensor()};
    const auto* kernels =
        reinterpret_cast<const ActivationKernels*>(ctx->saved_data["kernels"].toInt());
    return {backward_pass(x, dy, *kernels, size), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

bool has_kernels(const at::Tensor& x, const Context& context) {
  return use_cpu_kernels(x, context) || gpu_for(x, context) != nullptr;
}

}  // namespace

at::Tensor glu(const at::Tensor& ab, const Activation& f, const Context& context) {
  invariant(ab.dim() > 0 && ab.size(-1) % 2 == 0,
            "the input of a gated activation has an even last dimension");
  return has_kernels(ab, context) ? FusedActivation::apply(ab, f, true, context.gpu)
                                  : reference_glu(ab, f);
}

at::Tensor activate(const at::Tensor& a, const Activation& f, const Context& context) {
  invariant(a.dim() > 0, "the input of an activation has at least one dimension");
  return has_kernels(a, context) ? FusedActivation::apply(a, f, false, context.gpu)
                                 : f.reference(widened(a)).to(a.scalar_type());
}

}  // namespace sluice::ops
