#include "optim/muon.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/machine.h"
#include "ops/choose.h"
#include "ops/portable.h"
#include "optim/pieces.h"
#include "optim/update_guard.h"

namespace sluice::optim {
namespace {

constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;  // Jordan et al.
constexpr double kMinNorm = 1e-7;

double scale_of(MuonScale scale, double rows, double columns) {
  return scale == MuonScale::kOriginal ? std::sqrt(std::max(1.0, rows / columns))
                                       : 0.2 * std::sqrt(std::max(rows, columns));
}

// A rejected gradient may not be finite, so zero replaces it.
at::Tensor clipped(const at::Tensor& gradient, const at::Tensor& clip, const at::Tensor& applied) {
  return at::where(applied, gradient * clip, at::zeros({}, gradient.options()));
}

void assign_if(const at::Tensor& applied, const at::Tensor& to, const at::Tensor& value) {
  to.copy_(at::where(applied, value, to));
}

struct AdamWTensors {
  at::Tensor weight, gradient, exp_avg, exp_avg_sq;
};

void masked_adamw_step(const AdamWConfig& config, const MaskedStep& step, const at::Tensor& lr,
                       bool decay, const AdamWTensors& tensors) {
  const auto [beta1, beta2] = config.betas;
  const at::Tensor g = clipped(tensors.gradient, step.clip, step.applied);
  const at::Tensor m = tensors.exp_avg * beta1 + g * (1 - beta1);
  const at::Tensor v = tensors.exp_avg_sq * beta2 + g * g * (1 - beta2);
  const auto correction = [&](double beta) {
    return 1 - at::pow(at::full_like(step.num_updates, beta), step.num_updates);
  };
  const at::Tensor root = v.sqrt() * correction(beta2).sqrt().reciprocal() + config.eps;
  const at::Tensor keep = decay ? 1 - lr * config.weight_decay : at::ones_like(lr);
  assign_if(step.applied, tensors.weight,
            tensors.weight * keep - m / root * (lr / correction(beta1)));
  assign_if(step.applied, tensors.exp_avg, m);
  assign_if(step.applied, tensors.exp_avg_sq, v);
}

at::Tensor norm_of(const at::Tensor& x) {
  if (ops::is_portable(x)) return ops::ordered_sum(x.to(at::kDouble).square()).sqrt();
  return at::linalg_vector_norm(x, 2, std::nullopt, false, at::kDouble);
}

// p·a + q·(b c)
at::Tensor sum_of(double p, const at::Tensor& a, double q, const at::Tensor& b,
                  const at::Tensor& c) {
  if (ops::is_portable(a)) return a * p + ops::portable_matmul(b, c) * q;
  return at::addmm(a, b, c, p, q);
}

}  // namespace

bool is_hidden_matrix(const ops::ParameterSpec& spec) {
  invariant(spec.shape.size() <= 2, "parameters have at most 2 dimensions");
  const std::string_view name = spec.name;
  // Tables of relative positions do not decay and are no matrices of a linear map.
  return spec.shape.size() == 2 && spec.decay && !name.starts_with("embedding.") &&
         !name.starts_with("position.") && !name.starts_with("head.");
}

at::Tensor orthogonalize(const at::Tensor& update_RC, std::int64_t num_steps, NewtonSchulzType type,
                         bool bf16_products) {
  const bool is_tall = update_RC.size(0) > update_RC.size(1);
  const at::ScalarType stored = update_RC.scalar_type();
  const auto rounded = [&](const at::Tensor& x) {
    if (type != NewtonSchulzType::kBf16) return x;
    return bf16_products ? x.to(at::kBFloat16) : x.to(at::kBFloat16).to(stored);
  };
  at::Tensor x = rounded(update_RC / norm_of(update_RC).clamp_min(kMinNorm));
  if (is_tall) x = x.t().contiguous();
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const at::Tensor a = rounded(ops::portable_matmul(x, x.t()));
    const at::Tensor b = rounded(sum_of(kB, a, kC, a, a));
    x = rounded(sum_of(kA, x, 1, b, x));
  }
  if (is_tall) x = x.t();
  return x.to(stored);
}

void muon_step(const MuonConfig& config, const MuonScalars& scalars, const MuonTensors& tensors) {
  const at::Tensor &weight = tensors.weight, &applied = scalars.applied;
  const at::Tensor g = clipped(tensors.gradient, scalars.clip, applied) * (1 - config.momentum);
  const at::Tensor momentum = tensors.momentum * config.momentum + g;
  const at::Tensor update = config.nesterov ? momentum * config.momentum + g : momentum;
  const bool bf16_products = !weight.is_cpu() || usable_features().has_fast_bf16();
  const at::Tensor direction =
      orthogonalize(update, config.newton_schulz_steps, config.newton_schulz_type, bf16_products);
  const double scale = scale_of(config.scale, static_cast<double>(weight.size(0)),
                                static_cast<double>(weight.size(1)));
  assign_if(applied, weight,
            weight * (1 - scalars.lr * config.weight_decay) - direction * (scalars.lr * scale));
  assign_if(applied, tensors.momentum, momentum);
}

Muon::Muon(const MuonConfig& config, ops::Parameters& parameters, ops::Form form, Shards shards)
    : Optimizer(parameters, form, /*device=*/nullptr, {.clip_norm = config.clip_norm},
                std::move(shards)),
      config_(config),
      adamw_{.betas = config.betas, .eps = config.eps, .weight_decay = config.weight_decay} {
  for (const ops::Parameters::Named& parameter : parameters.named()) {
    if (!owns(parameter.offset)) continue;
    const auto zeros = [&] {
      return at::zeros(parameter.spec->shape, parameters.master().options().requires_grad(false));
    };
    Part part{.parameter = parameter, .momentum = {}, .exp_avg = {}, .exp_avg_sq = {}};
    if (is_hidden_matrix(*parameter.spec)) {
      part.momentum = zeros();
    } else {
      part.exp_avg = zeros();
      part.exp_avg_sq = zeros();
    }
    parts_.push_back(std::move(part));
  }
  for (const Part& part : parts_) {
    if (part.momentum.defined()) matrices_.push_back(&part);
    for_each_piece(0, part.parameter.spec->num_elements(), kPieceElements,
                   [&](std::int64_t begin, std::int64_t end) {
                     pieces_.push_back({&part, begin, end});
                     if (part.exp_avg.defined()) rest_.push_back({&part, begin, end});
                   });
  }
}

std::vector<double> Muon::gradient_squares() {
  const float* gradient = parameters().gradient().const_data_ptr<float>();
  std::vector<double> sums(pieces_.size());
  parallel_for_each(pieces_.size(), [&](std::size_t i) {
    const Piece& piece = pieces_[i];
    ops::run_kernel<SumOfSquares, const float*, std::int64_t, double*>(
        gradient + piece.part->parameter.offset + piece.begin, piece.end - piece.begin, &sums[i]);
  });
  return sums;
}

std::vector<std::int64_t> Muon::piece_begins() const {
  std::vector<std::int64_t> begins;
  for (const Piece& piece : pieces_) begins.push_back(piece.part->parameter.offset + piece.begin);
  return begins;
}

void Muon::apply_adamw(const Piece& piece, const AdamWCoefficients& coefficients) {
  const std::int64_t at = piece.part->parameter.offset + piece.begin;
  const bool has_copy = parameters().compute().scalar_type() == at::kBFloat16;
  const AdamWPiece work{parameters().master().data_ptr<float>() + at,
                        parameters().gradient().data_ptr<float>() + at,
                        piece.part->exp_avg.data_ptr<float>() + piece.begin,
                        piece.part->exp_avg_sq.data_ptr<float>() + piece.begin,
                        has_copy ? ops::write<ops::Bf16>(parameters().compute()) + at : nullptr,
                        piece.end - piece.begin};
  ops::run_kernel<AdamWKernel, const AdamWPiece*, const AdamWCoefficients*>(&work, &coefficients);
}

void Muon::apply(double lr, double clip, double num_updates) {
  const double adamw_lr = lr * config_.adamw_lr_factor;
  const AdamWCoefficients decaying = adamw_coefficients(adamw_, adamw_lr, clip, num_updates, true),
                          others = adamw_coefficients(adamw_, adamw_lr, clip, num_updates, false);
  parallel_for_each(rest_.size(), [&](std::size_t i) {
    apply_adamw(rest_[i], rest_[i].part->parameter.spec->decay ? decaying : others);
  });
  const at::Tensor& like = parameters().master();
  const MuonScalars scalars{.lr = scalar_like(like, lr, at::kDouble),
                            .clip = scalar_like(like, clip, at::kDouble),
                            .applied = scalar_like(like, 1, at::kBool)};
  const bool has_copy = parameters().compute().scalar_type() == at::kBFloat16;
  parallel_for_each(matrices_.size(), [&](std::size_t i) {
    const at::NoGradGuard no_grad;  // a property of the thread
    const Part& part = *matrices_[i];
    const at::Tensor weight = part.parameter.value.detach();
    muon_step(config_, scalars, {weight, part.parameter.gradient, part.momentum});
    at::Tensor(part.parameter.gradient).zero_();
    if (has_copy)
      parameters()
          .compute()
          .narrow(0, part.parameter.offset, weight.numel())
          .view(weight.sizes())
          .copy_(weight);
  });
}

void Muon::apply_masked(const MaskedStep& step) {
  const at::Tensor adamw_lr = step.lr * config_.adamw_lr_factor;
  for (const Part& part : parts_) {
    const at::Tensor weight = part.parameter.value.detach(), &gradient = part.parameter.gradient;
    if (part.momentum.defined())
      muon_step(config_, {step.lr, step.clip, step.applied}, {weight, gradient, part.momentum});
    else
      masked_adamw_step(adamw_, step, adamw_lr, part.parameter.spec->decay,
                        {weight, gradient, part.exp_avg, part.exp_avg_sq});
  }
}

std::vector<Optimizer::State> Muon::moments() {
  std::vector<State> all;
  auto next = parts_.begin();
  for (const ops::Parameters::Declared& parameter : parameters().declared()) {
    const ops::ParameterSpec& spec = *parameter.spec;
    const Part part = owns(parameter.offset) ? *next++ : Part{};
    if (is_hidden_matrix(spec)) {
      all.push_back(state_of("momentum." + spec.name, spec.shape, part.momentum, parameter));
    } else {
      all.push_back(state_of("exp_avg." + spec.name, spec.shape, part.exp_avg, parameter));
      all.push_back(state_of("exp_avg_sq." + spec.name, spec.shape, part.exp_avg_sq, parameter));
    }
  }
  return all;
}

std::unique_ptr<Optimizer> make(const MuonConfig& config, ops::Parameters& parameters,
                                gpu::Device* /*device*/, Shards shards) {
  return std::make_unique<Muon>(config, parameters, ops::Form::kFastest, std::move(shards));
}

// A matrix is orthogonalized as a whole.
std::vector<std::int64_t> cuts_of(const MuonConfig&, const ops::Parameters& parameters) {
  return parameter_cuts(parameters);
}

StateSize state_size_of(const MuonConfig&, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part) {
  // Temporaries of muon_step and masked_adamw_step, at most.
  constexpr std::uint64_t kMatrixCopies = 6, kGramMatrices = 3, kAdamWCopies = 7;
  std::uint64_t state = 0, all = 0, matrix = 0, rest = 0;
  for (const auto& [spec, offset] : parameters.declared()) {
    const auto bytes = static_cast<std::uint64_t>(spec->num_elements()) * sizeof(float);
    const std::uint64_t kept = is_hidden_matrix(*spec) ? bytes : 2 * bytes;
    all += kept;
    if (!ops::contains(part, offset)) continue;
    state += kept;
    if (!is_hidden_matrix(*spec)) {
      rest = std::max(rest, kAdamWCopies * bytes);
      continue;
    }
    const auto side = static_cast<std::uint64_t>(std::min(spec->shape[0], spec->shape[1]));
    matrix = std::max(matrix, kMatrixCopies * bytes + kGramMatrices * side * side * sizeof(float));
  }
  return {.memory_bytes = state + static_cast<std::uint64_t>(at::get_num_threads()) * matrix,
          .gpu_memory_bytes = state + std::max(matrix, rest),
          .checkpoint_bytes = all};
}

}  // namespace sluice::optim
