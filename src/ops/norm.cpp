// Shapes: N rows (all leading dimensions), d normalized dimension, C chunks of rows.
#include "ops/norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/gpu_norm.h"
#include "ops/norm_kernels.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows are summed per chunk, then chunks in order: results do not depend on the thread count.
constexpr std::int64_t kRowsPerChunk = 64;

at::Tensor reference_rms_norm(const at::Tensor& x, const Weight& scale, double eps) {
  return x * at::rsqrt(at::mean(x * x, -1, /*keepdim=*/true) + eps) * scale.value;
}

at::Tensor reference_layer_norm(const at::Tensor& x, const Weight& scale, const Weight* bias,
                                double eps) {
  const at::Tensor centered = x - at::mean(x, -1, /*keepdim=*/true);
  const at::Tensor normalized =
      centered * at::rsqrt(at::mean(centered * centered, -1, /*keepdim=*/true) + eps);
  return bias ? normalized * scale.value + bias->value : normalized * scale.value;
}

template <typename Body>
void for_chunks(const NormSize& size, const Body& body) {
  const std::int64_t chunks = (size.rows + kRowsPerChunk - 1) / kRowsPerChunk;
  at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * kRowsPerChunk;
      body(chunk, first,
           NormSize{std::min(kRowsPerChunk, size.rows - first), size.d, size.eps, size.centered});
    }
  });
}

// gradient += partial[0] + partial[1] + ...
void add_partial_sums(const at::Tensor& gradient, const at::Tensor& partial_Cd) {
  float* to = write<float>(gradient);
  const float* from = read<float>(partial_Cd);
  const std::int64_t chunks = partial_Cd.size(0), d = partial_Cd.size(1);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    for (std::int64_t i = 0; i < d; ++i) to[i] += from[chunk * d + i];
}

struct NormSettings {
  double eps;
  bool centered;
  at::ScalarType out;
};

NormSize size_of(const at::Tensor& x, double eps, bool centered) {
  return {x.numel() / std::max<std::int64_t>(1, x.size(-1)), x.size(-1), static_cast<float>(eps),
          centered};
}

// `scale` and `bias` are inputs so that autograd reaches them; their gradients are written directly
// to the arena.
struct FusedNorm : torch::autograd::Function<FusedNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& scale,
                            const std::optional<at::Tensor>& maybe_bias,
                            const NormSettings& settings) {
    const at::Tensor bias = maybe_bias.value_or(at::Tensor());
    const at::Tensor x = input.contiguous();
    const NormSize size = size_of(x, settings.eps, settings.centered);
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(settings.out)),
                     statistics = at::empty({size.rows, 2}, x.options());
    with_stored_type(settings.out, [&](auto type) {
      using T = decltype(type);
      for_chunks(size, [&](std::int64_t, std::int64_t first, const NormSize& part) {
        run_kernel<NormKernel>(read<float>(x) + first * size.d, read<float>(scale),
                               bias.defined() ? read<float>(bias) : nullptr,
                               write<T>(y) + first * size.d,
                               write<RowStatistics>(statistics) + first, part);
      });
    });
    ctx->save_for_backward({x, scale, bias, statistics});
    ctx->saved_data["eps"] = settings.eps;
    ctx->saved_data["centered"] = settings.centered;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &bias = saved[2], &statistics = saved[3];
    const at::Tensor dy = gradients[0].contiguous(), dx = at::empty_like(x);
    const NormSize size =
        size_of(x, ctx->saved_data["eps"].toDouble(), ctx->saved_data["centered"].toBool());
    const std::int64_t chunks = (size.rows + kRowsPerChunk - 1) / kRowsPerChunk;
    const at::Tensor dscale_Cd = at::empty({chunks, size.d}, x.options());
    const at::Tensor dbias_Cd =
        bias.defined() ? at::empty({chunks, size.d}, x.options()) : at::Tensor();
    with_stored_type(dy.scalar_type(), [&](auto type) {
      using T = decltype(type);
      for_chunks(size, [&](std::int64_t chunk, std::int64_t first, const NormSize& part) {
        const NormGradients sums{
            .dx = write<float>(dx) + first * size.d,
            .dscale = write<float>(dscale_Cd) + chunk * size.d,
            .dbias = bias.defined() ? write<float>(dbias_Cd) + chunk * size.d : nullptr};
        run_kernel<NormBackwardKernel>(read<float>(x) + first * size.d, read<float>(scale),
                                       read<T>(dy) + first * size.d,
                                       read<RowStatistics>(statistics) + first, sums, part);
      });
    });
    if (scale.requires_grad()) add_partial_sums(gradient_of(scale), dscale_Cd);
    if (bias.defined() && bias.requires_grad()) add_partial_sums(gradient_of(bias), dbias_Cd);
    return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check(const at::Tensor& x, const Weight& scale) {
  invariant(x.dim() > 0 && scale.value.dim() == 1 && x.size(-1) == scale.value.size(0),
            "the scale of a norm has the width of its input");
  invariant(x.scalar_type() == scale.value.scalar_type(),
            "the residual stream has the dtype of the master weights");
}

bool use_fused_norm(const at::Tensor& x, at::ScalarType out, const Context& context) {
  return use_cpu_kernels(x, context) && x.scalar_type() == at::kFloat && is_fused_type(out);
}

bool use_gpu_norm(const Residual& residual, at::ScalarType out, const Context& context) {
  return gpu_for(residual.x, context) != nullptr && residual.x.scalar_type() == at::kFloat &&
         is_fused_type(out) && !reduces_in_bf16(out, context) &&
         (!residual.update.defined() || is_fused_type(residual.update.scalar_type()));
}

}  // namespace

NormOutput add_rms_norm(const Residual& residual, const Weight& scale, double eps,
                        at::ScalarType out, const Context& context) {
  check(residual.x, scale);
  if (use_gpu_norm(residual, out, context))
    return gpu_norm(residual, scale, nullptr, {context.gpu, eps, false, out});
  const at::Tensor x = residual.sum();
  if (reduces_in_bf16(out, context)) return {x, reference_rms_norm(x.to(out), scale, eps).to(out)};
  if (use_fused_norm(x, out, context))
    return {x, FusedNorm::apply(x, scale.value, std::optional<at::Tensor>(),
                                NormSettings{eps, false, out})};
  return {x, reference_rms_norm(x, scale, eps).to(out)};
}

NormOutput add_layer_norm(const Residual& residual, const Weight& scale, const Weight* bias,
                          double eps, at::ScalarType out, const Context& context) {
  check(residual.x, scale);
  if (use_gpu_norm(residual, out, context))
    return gpu_norm(residual, scale, bias, {context.gpu, eps, true, out});
  const at::Tensor x = residual.sum();
  if (reduces_in_bf16(out, context))
    return {x, reference_layer_norm(x.to(out), scale, bias, eps).to(out)};
  const std::optional<at::Tensor> bias_value = bias ? std::optional(bias->value) : std::nullopt;
  if (use_fused_norm(x, out, context))
    return {x, FusedNorm::apply(x, scale.value, bias_value, NormSettings{eps, true, out})};
  return {x, reference_layer_norm(x, scale, bias, eps).to(out)};
}

at::Tensor rms_norm(const at::Tensor& x, const Weight& scale, double eps, at::ScalarType out,
                    const Context& context) {
  return add_rms_norm({.x = x}, scale, eps, out, context).y;
}

at::Tensor layer_norm(const at::Tensor& x, const Weight& scale, const Weight* bias, double eps,
                      at::ScalarType out, const Context& context) {
  return add_layer_norm({.x = x}, scale, bias, eps, out, context).y;
}

}  // namespace sluice::ops
