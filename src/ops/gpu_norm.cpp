// Shapes: N rows (all leading dimensions), d normalized dimension, P partial sums.
#include "ops/gpu_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <string>

#include "base/text_format.h"
#include "ops/choose.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr gpu::Program kNormProgram{"ops/norm.cu", &kernel_texts};
// Rows up to this width are held by the 32 threads of a warp, wider ones by a block of 256.
constexpr std::int64_t kMaxWarpRow = 1024;
// Blocks of the backward pass, a constant because it determines the order of summation: two per
// multiprocessor of a card with 132.
constexpr std::int64_t kBackwardBlocks = 264;

std::int64_t threads_of_row(std::int64_t d) { return d <= kMaxWarpRow ? 32 : 256; }

struct NormKernels {
  const GpuNorm& norm;
  std::int64_t d;
  bool has_bias;
  at::ScalarType update;

  std::int64_t row_threads() const { return threads_of_row(d); }
  std::int64_t blocks_of_rows(std::int64_t rows) const {
    return blocks_for(rows, 256 / row_threads());
  }
  gpu::Kernel named(const char* entry) const {
    return {
        &kNormProgram,
        cat("using Element = ", element_name(norm.out), ";\nusing Update = ", element_name(update),
            ";\nconstexpr int columns = ", d, ", width = ", std::min(4, vector_width({d})),
            ", row_threads = ", row_threads(), ";\nconstexpr bool centered = ", norm.centered,
            ", has_bias = ", has_bias, ";\nconstexpr float eps = ", shortest(norm.eps), ";\n"),
        entry};
  }
};

const void* pointer_of(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

void add_partials(const NormKernels& kernels, const at::Tensor& gradient,
                  const at::Tensor& partial_Pd) {
  gpu::launch(*kernels.norm.device, kernels.named("add_partial_sums"),
              {.x = blocks_for(kernels.d, 32)}, partial_Pd.const_data_ptr(),
              gradient.mutable_data_ptr(), partial_Pd.size(0));
}

struct GpuAddNorm : torch::autograd::Function<GpuAddNorm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& input,
                               const std::optional<at::Tensor>& maybe_update,
                               const at::Tensor& scale, const std::optional<at::Tensor>& maybe_bias,
                               const GpuNorm& norm) {
    const at::Tensor bias = maybe_bias.value_or(at::Tensor());
    const at::Tensor x = input.contiguous();
    const NormKernels kernels{norm, x.size(-1), bias.defined(),
                              maybe_update ? maybe_update->scalar_type() : at::kFloat};
    const std::int64_t rows = x.numel() / std::max<std::int64_t>(1, kernels.d);
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(norm.out)),
                     statistics = at::empty({rows, 2}, x.options());
    const gpu::Grid grid{.x = kernels.blocks_of_rows(rows)};
    at::Tensor sum = x;
    if (maybe_update) {
      const at::Tensor update = maybe_update->contiguous();
      sum = at::empty_like(x);
      gpu::launch(*norm.device, kernels.named("add_norm"), grid, x.const_data_ptr(),
                  update.const_data_ptr(), scale.const_data_ptr(), pointer_of(bias),
                  sum.mutable_data_ptr(), y.mutable_data_ptr(), statistics.mutable_data_ptr(),
                  rows);
    } else {
      gpu::launch(*norm.device, kernels.named("norm_forward"), grid, x.const_data_ptr(),
                  scale.const_data_ptr(), pointer_of(bias), y.mutable_data_ptr(),
                  statistics.mutable_data_ptr(), rows);
    }
    ctx->save_for_backward({sum, scale, bias, statistics});
    ctx->saved_data["update"] =
        static_cast<std::int64_t>(maybe_update ? maybe_update->scalar_type() : at::kLong);
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(norm.device);
    ctx->saved_data["eps"] = norm.eps;
    ctx->saved_data["centered"] = norm.centered;
    ctx->saved_data["out"] = static_cast<std::int64_t>(norm.out);
    ctx->set_materialize_grads(false);
    return {maybe_update ? sum : input, y};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const auto update = static_cast<at::ScalarType>(ctx->saved_data["update"].toInt());
    const bool has_update = update != at::kLong;
    const at::Tensor &x = saved[0], &scale = saved[1], &bias = saved[2], &statistics = saved[3];
    const GpuNorm norm{reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt()),
                       ctx->saved_data["eps"].toDouble(), ctx->saved_data["centered"].toBool(),
                       static_cast<at::ScalarType>(ctx->saved_data["out"].toInt())};
    const NormKernels kernels{norm, x.size(-1), bias.defined(), has_update ? update : at::kFloat};
    invariant(gradients[1].defined(), "the result of a norm is used");
    const at::Tensor dy = gradients[1].contiguous(), dx = at::empty_like(x);
    const at::Tensor dsum = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const bool is_rounded = has_update && update != at::kFloat;
    const at::Tensor rounded =
        is_rounded ? at::empty(x.sizes(), x.options().dtype(update)) : at::Tensor();
    const std::int64_t rows = statistics.size(0), P = gpu_norm_partials(rows, kernels.d);
    const at::Tensor dscale_Pd = at::empty({P, kernels.d}, x.options());
    const at::Tensor dbias_Pd = bias.defined() ? at::empty_like(dscale_Pd) : at::Tensor();
    gpu::launch(*norm.device, kernels.named("norm_backward"), {.x = P}, x.const_data_ptr(),
                statistics.const_data_ptr(), scale.const_data_ptr(), dy.const_data_ptr(),
                pointer_of(dsum), dx.mutable_data_ptr(), pointer_of(rounded),
                dscale_Pd.mutable_data_ptr(), pointer_of(dbias_Pd), rows);
    if (scale.requires_grad()) add_partials(kernels, gradient_of(scale), dscale_Pd);
    if (bias.defined() && bias.requires_grad()) add_partials(kernels, gradient_of(bias), dbias_Pd);
    const at::Tensor dupdate = !has_update ? at::Tensor() : is_rounded ? rounded : dx;
    return {dx, dupdate, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

std::int64_t gpu_norm_partials(std::int64_t rows, std::int64_t d) {
  return std::min(kBackwardBlocks, blocks_for(rows, 256 / threads_of_row(d)));
}

NormOutput gpu_norm(const Residual& residual, const Weight& scale, const Weight* bias,
                    const GpuNorm& norm) {
  const variable_list outputs =
      GpuAddNorm::apply(residual.x, if_defined(residual.update), scale.value,
                        bias != nullptr ? std::optional(bias->value) : std::nullopt, norm);
  return {outputs[0], outputs[1]};
}

}  // namespace sluice::ops
