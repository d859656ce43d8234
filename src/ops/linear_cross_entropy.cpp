// Shapes: N rows, d width, V padded vocabulary, R rows per chunk.
#include "ops/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/matrix_product.h"
#include "ops/portable.h"
#include "ops/softmax_gradient.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements of one chunk of logits: large enough for full-speed products, small compared with all
// logits, and in bf16 within the last-level cache.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 23;
constexpr std::int64_t kMinRows = 64;
// On a GPU, products of fewer rows are slower: 8,192 for a vocabulary of 32,768.
constexpr std::int64_t kGpuChunkElements = std::int64_t{1} << 28;
constexpr std::int64_t kMinGpuRows = 1024;

// Cross-entropy and (log Z)² of each row, computed in `precise`, as float64 [2, N].
at::Tensor reference_rows(const at::Tensor& x_Nd, const Weight& weight, const at::Tensor& targets_N,
                          std::int64_t vocab_size, at::ScalarType precise) {
  const at::Tensor used_Vd = weight.value.narrow(0, 0, vocab_size).to(x_Nd.scalar_type());
  const at::Tensor logits_NV = at::matmul(x_Nd, used_Vd.t()).to(precise);
  const at::Tensor log_z_N = at::logsumexp(logits_NV, {1});
  const at::Tensor nats_N =
      -at::log_softmax(logits_NV, -1).gather(1, targets_N.clamp_min(0).unsqueeze(1)).squeeze(1);
  return at::where(targets_N.ge(0),
                   at::stack({nats_N.to(at::kDouble), log_z_N.to(at::kDouble).square()}), 0.0);
}

CrossEntropy reference_loss(const at::Tensor& x_Nd, const Weight& weight,
                            const at::Tensor& targets_N, const LossTerms& terms,
                            at::ScalarType precise) {
  const at::Tensor rows_2N = reference_rows(x_Nd, weight, targets_N, terms.vocab_size, precise);
  const at::Tensor cross_entropy = rows_2N.select(0, 0).sum() * terms.scale;
  if (terms.z_loss == 0) return {cross_entropy, cross_entropy.detach()};
  return {cross_entropy + rows_2N.select(0, 1).sum() * (terms.scale * terms.z_loss),
          cross_entropy.detach()};
}

bool use_fused_loss(const at::Tensor& x, const Context& context) {
  return use_fused(x, context) && !reduces_in_bf16(x.scalar_type(), context);
}

std::int64_t rows_per_chunk(std::int64_t N, std::int64_t V) {
  const std::int64_t quarter = (N / 4 + kMinRows - 1) / kMinRows * kMinRows;
  return std::clamp(kChunkElements / V / kMinRows * kMinRows, kMinRows,
                    std::max(kMinRows, quarter));
}

struct Pass {
  LossTerms terms;
  gpu::Device* gpu = nullptr;
  bool data = false, weight = false;  // gradients to compute
};

// The scale as a device scalar.
at::Tensor scale_on_device(const LossTerms& terms, const at::Tensor& like) {
  return terms.device_scale.defined()
             ? terms.device_scale
             : at::full({}, terms.scale, like.options().dtype(at::kDouble).requires_grad(false));
}

// Returns cross-entropy and (log Z)² of each row, [2, N]. Fills dx_Nd and adds to the weight
// gradient if requested.
at::Tensor chunked_pass(const at::Tensor& x_Nd, const Weight& weight, const at::Tensor& targets_N,
                        const at::Tensor& dx_Nd, const Pass& pass) {
  const std::int64_t N = x_Nd.size(0), V = weight.compute.size(0),
                     R = pass.gpu != nullptr ? gpu_rows_per_chunk(N, V)
                                             : std::min(N, rows_per_chunk(N, V));
  const at::Tensor loss_2N = at::empty({2, N}, x_Nd.options().dtype(at::kDouble)),
                   buffer_RV =
                       at::empty({R, pass.gpu != nullptr ? row_stride_for(V) : V}, x_Nd.options())
                           .narrow(1, 0, V);
  LossSettings settings{pass.terms.vocab_size, pass.terms.scale, pass.terms.z_loss,
                        pass.data || pass.weight};
  if (pass.gpu != nullptr) settings.device_scale = scale_on_device(pass.terms, x_Nd);
  for (std::int64_t first = 0; first < N; first += R) {
    const std::int64_t rows = std::min(R, N - first);
    const at::Tensor logits_RV = buffer_RV.narrow(0, 0, rows), x_Rd = x_Nd.narrow(0, first, rows);
    forward_product(logits_RV, x_Rd, weight.compute);
    const at::Tensor targets_R = targets_N.narrow(0, first, rows),
                     loss_2R = loss_2N.narrow(1, first, rows);
    if (pass.gpu != nullptr)
      softmax_gradient_gpu(*pass.gpu, logits_RV, targets_R, loss_2R, settings);
    else if (x_Nd.is_cpu())
      softmax_gradient_cpu(logits_RV, targets_R, loss_2R, settings);
    else
      softmax_gradient_aten(logits_RV, targets_R, loss_2R, settings);
    if (pass.data) data_gradient(dx_Nd.narrow(0, first, rows), logits_RV, weight.compute);
    if (pass.weight) add_weight_gradient(gradient_of(weight.value), logits_RV, x_Rd);
  }
  return loss_2N;
}

CrossEntropy sums_of(const at::Tensor& loss_2N, const LossTerms& terms) {
  const auto scaled = [&](const at::Tensor& sum, double factor) {
    return terms.device_scale.defined() ? sum.mul(terms.device_scale).mul_(factor)
                                        : sum.mul(terms.scale * factor);
  };
  const at::Tensor cross_entropy = scaled(ordered_sum(loss_2N.select(0, 0)), 1);
  if (terms.z_loss == 0) return {cross_entropy.clone(), cross_entropy};
  return {cross_entropy + scaled(ordered_sum(loss_2N.select(0, 1)), terms.z_loss), cross_entropy};
}

struct FusedLoss : torch::autograd::Function<FusedLoss> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x_Nd,
                               const at::Tensor& value, const at::Tensor& targets_N,
                               const Weight* weight, Pass pass) {
    pass.data = x_Nd.requires_grad();
    pass.weight = value.requires_grad();
    const at::Tensor dx_Nd = pass.data ? at::empty_like(x_Nd) : at::Tensor();
    const CrossEntropy sums =
        sums_of(chunked_pass(x_Nd, *weight, targets_N, dx_Nd, pass), pass.terms);
    ctx->save_for_backward({dx_Nd});
    ctx->mark_non_differentiable({sums.cross_entropy});
    return {sums.total, sums.cross_entropy};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    // Forward computed both gradients for an upstream gradient of 1. The check is CPU-only because
    // reading the value would synchronize a GPU.
    invariant(!gradients[0].is_cpu() || *read<double>(gradients[0]) == 1.0,
              "the loss of linear_cross_entropy is scaled by its `scale` argument only");
    return {ctx->get_saved_variables()[0], at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check(const at::Tensor& x_ND, const Weight& weight, const at::Tensor& targets_N,
           std::int64_t vocab_size) {
  invariant(x_ND.dim() == 2 && weight.value.dim() == 2 && x_ND.size(1) == weight.value.size(1),
            "the input of the head has the width of its weight");
  invariant(targets_N.dim() == 1 && targets_N.size(0) == x_ND.size(0) &&
                targets_N.scalar_type() == at::kLong,
            "targets are int64, one per row");
  invariant(vocab_size > 0 && vocab_size <= weight.value.size(0),
            "vocab_size is at most the number of head rows");
  invariant(x_ND.scalar_type() == weight.compute.scalar_type(),
            "the input of the head has the compute dtype of its weight");
}

}  // namespace

std::int64_t gpu_rows_per_chunk(std::int64_t N, std::int64_t V) {
  return std::min(N, std::max(kGpuChunkElements / V, kMinGpuRows));
}

CrossEntropy linear_cross_entropy(const at::Tensor& x_ND, const Weight& weight,
                                  const at::Tensor& targets_N, const LossTerms& terms,
                                  const Context& context) {
  check(x_ND, weight, targets_N, terms.vocab_size);
  if (!use_fused_loss(x_ND, context))
    return reference_loss(x_ND, weight, targets_N, terms, type_of_reductions(x_ND, context));
  const at::Tensor x = x_ND.contiguous(), targets = targets_N.contiguous();
  if (!at::GradMode::is_enabled())
    return sums_of(chunked_pass(x, weight, targets, at::Tensor(), Pass{terms, context.gpu}), terms);
  const variable_list sums =
      FusedLoss::apply(x, weight.value, targets, &weight, Pass{terms, context.gpu});
  return {sums[0], sums[1]};
}

at::Tensor cross_entropy_of_rows(const at::Tensor& x_ND, const Weight& weight,
                                 const at::Tensor& targets_N, std::int64_t vocab_size,
                                 const Context& context) {
  const at::NoGradGuard no_grad;
  check(x_ND, weight, targets_N, vocab_size);
  if (!use_fused_loss(x_ND, context))
    return reference_rows(x_ND, weight, targets_N, vocab_size, type_of_reductions(x_ND, context))
        .select(0, 0);
  return chunked_pass(x_ND.contiguous(), weight, targets_N.contiguous(), at::Tensor(),
                      Pass{{.vocab_size = vocab_size}, context.gpu})
      .select(0, 0);
}

}  // namespace sluice::ops
