// Shapes: N rows, d width, V vocabulary with padding, R rows of a chunk.
#include "ops/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/matrix_product.h"
#include "ops/softmax_gradient.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements of the one chunk of logits that exists at a time: large enough for full-speed products, small beside all logits, and in
// bf16 within the last-level cache.
constexpr std::int64_t kChunkElements = std::int64_t{1} << 23;
constexpr std::int64_t kLeastRows = 64;

at::Tensor reference_loss(const at::Tensor& x_Nd, const Weight& weight, const at::Tensor& targets_N, std::int64_t vocab_size,
                          double scale) {
  const at::ScalarType precise = x_Nd.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor used_Vd = weight.value.narrow(0, 0, vocab_size).to(x_Nd.scalar_type());
  const at::Tensor log_probabilities_NV = at::log_softmax(at::matmul(x_Nd, used_Vd.t()).to(precise), -1);
  const at::Tensor picked_N = log_probabilities_NV.gather(1, targets_N.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor scored_N = targets_N.ge(0);
  return at::where(scored_N, picked_N.to(at::kDouble), 0.0).sum() * -scale;
}

std::int64_t rows_per_chunk(std::int64_t N, std::int64_t V) {
  const std::int64_t quarter = (N / 4 + kLeastRows - 1) / kLeastRows * kLeastRows;
  return std::clamp(kChunkElements / V / kLeastRows * kLeastRows, kLeastRows, std::max(kLeastRows, quarter));
}

struct Pass {
  std::int64_t vocab_size;
  double scale;
  bool data, weight;  // which gradients are wanted
};

// Returns the loss; fills dx_Nd and adds to the weight's gradient where wanted.
at::Tensor chunked_pass(const at::Tensor& x_Nd, const Weight& weight, const at::Tensor& targets_N, const at::Tensor& dx_Nd,
                        const Pass& pass) {
  const std::int64_t N = x_Nd.size(0), V = weight.compute.size(0), R = std::min(N, rows_per_chunk(N, V));
  const at::Tensor loss_N = at::empty({N}, x_Nd.options().dtype(at::kDouble)), buffer_RV = at::empty({R, V}, x_Nd.options());
  const LossSettings settings{pass.vocab_size, pass.scale, pass.data || pass.weight};
  for (std::int64_t first = 0; first < N; first += R) {
    const std::int64_t rows = std::min(R, N - first);
    const at::Tensor logits_RV = buffer_RV.narrow(0, 0, rows), x_Rd = x_Nd.narrow(0, first, rows);
    forward_product(logits_RV, x_Rd, weight.compute);
    const auto softmax_gradient = x_Nd.is_cpu() ? &softmax_gradient_cpu : &softmax_gradient_aten;
    softmax_gradient(logits_RV, targets_N.narrow(0, first, rows), loss_N.narrow(0, first, rows), settings);
    if (pass.data) data_gradient(dx_Nd.narrow(0, first, rows), logits_RV, weight.compute);
    if (pass.weight) add_weight_gradient(gradient_of(weight.value), logits_RV, x_Rd);
  }
  return loss_N.sum().mul_(pass.scale);
}

struct FusedLoss : torch::autograd::Function<FusedLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_Nd, const at::Tensor& value, const at::Tensor& targets_N,
                            const Weight* weight, Pass pass) {
    pass.data = x_Nd.requires_grad();
    pass.weight = value.requires_grad();
    const at::Tensor dx_Nd = pass.data ? at::empty_like(x_Nd) : at::Tensor();
    const at::Tensor loss = chunked_pass(x_Nd, *weight, targets_N, dx_Nd, pass);
    ctx->save_for_backward({dx_Nd});
    return loss;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    // Both gradients were made in forward, for a loss that is differentiated as it is. Reading the factor would wait for a device.
    invariant(!gradients[0].is_cpu() || *read<double>(gradients[0]) == 1.0,
              "the loss of linear_cross_entropy is scaled by its argument, not afterwards");
    return {ctx->get_saved_variables()[0], at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& x_ND, const Weight& weight, const at::Tensor& targets_N, std::int64_t vocab_size,
                                double scale, const Context& context) {
  invariant(x_ND.dim() == 2 && weight.value.dim() == 2 && x_ND.size(1) == weight.value.size(1),
            "the head reads rows of its weight's width");
  invariant(targets_N.dim() == 1 && targets_N.size(0) == x_ND.size(0) && targets_N.scalar_type() == at::kLong, "one int64 target per row");
  invariant(vocab_size > 0 && vocab_size <= weight.value.size(0), "the vocabulary lies within the head's rows");
  invariant(x_ND.scalar_type() == weight.compute.scalar_type(), "the head's input has its weight's compute dtype");
  if (!choose_fused(x_ND, context)) return reference_loss(x_ND, weight, targets_N, vocab_size, scale);
  const at::Tensor x = x_ND.contiguous(), targets = targets_N.contiguous();
  const Pass pass{vocab_size, scale, false, false};
  if (!at::GradMode::is_enabled()) return chunked_pass(x, weight, targets, at::Tensor(), pass);
  return FusedLoss::apply(x, weight.value, targets, &weight, pass);
}

}  // namespace sluice::ops
