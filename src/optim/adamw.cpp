#include "optim/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <variant>

#include "base/error.h"
#include "ops/choose.h"
#include "optim/adamw_kernels.h"

namespace sluice::optim {
namespace {

// Elements of a piece: five fp32 streams of it fit a level-2 cache.
constexpr std::int64_t kPiece = 16384;

std::vector<Segment> cut(const std::vector<Segment>& segments) {
  std::vector<Segment> pieces;
  for (const Segment& segment : segments)
    for (std::int64_t begin = segment.begin; begin < segment.end; begin += kPiece)
      pieces.push_back({begin, std::min(begin + kPiece, segment.end), segment.decay});
  return pieces;
}

// Calls body(piece, its number) for all, on all threads. Who does which piece changes nothing.
template <typename Body>
void for_each_piece(const std::vector<Segment>& pieces, const Body& body) {
  at::parallel_for(0, static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(pieces[static_cast<std::size_t>(i)], static_cast<std::size_t>(i));
  });
}

double gradient_norm(const float* gradient, const std::vector<Segment>& pieces) {
  std::vector<double> sums(pieces.size());
  for_each_piece(pieces, [&](const Segment& piece, std::size_t i) {
    ops::run_kernel<SumOfSquares, const float*, std::int64_t, double*>(gradient + piece.begin, piece.end - piece.begin, &sums[i]);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return std::sqrt(sum);
}

// A scalar of host memory, or what stands for "no limit".
double value_of(const at::Tensor& scalar, double otherwise) {
  return scalar.defined() ? *static_cast<const double*>(scalar.const_data_ptr()) : otherwise;
}

at::Tensor scalar_like(const at::Tensor& device_like, double value, at::ScalarType type) {
  return at::full({}, value, device_like.options().dtype(type).requires_grad(false));
}

}  // namespace

std::vector<Segment> decay_segments(const ops::Parameters& parameters) {
  std::vector<Segment> segments;
  for (const ops::Parameters::Named& parameter : parameters.named()) {
    if (!segments.empty() && segments.back().decay == parameter.spec->decay) continue;
    if (!segments.empty()) segments.back().end = parameter.offset;
    segments.push_back({parameter.offset, 0, parameter.spec->decay});
  }
  if (!segments.empty()) segments.back().end = parameters.arena_elements();
  return segments;
}

AdamW::AdamW(const AdamWConfig& config, ops::Parameters& parameters, ops::Form form)
    : config_(config),
      parameters_(parameters),
      fused_(form == ops::Form::kFastest && parameters.master().is_cpu()),
      segments_(decay_segments(parameters)),
      pieces_(cut(segments_)) {
  invariant(parameters.gradient().defined(), "an optimizer needs gradients");
  exp_avg_ = at::zeros_like(parameters.master());
  exp_avg_sq_ = at::zeros_like(parameters.master());
  num_updates_ = scalar_like(parameters.master(), 0, at::kDouble);
}

UpdateReport AdamW::update(const Update& update) {
  invariant(update.loss.defined() && update.loss.scalar_type() == at::kDouble, "an update is told the loss in float64");
  const at::NoGradGuard no_grad;
  return fused_ ? update_fused(update) : update_with_aten(update);
}

UpdateReport AdamW::update_fused(const Update& update) {
  float* gradient = parameters_.gradient().data_ptr<float>();
  const double norm = gradient_norm(gradient, pieces_);
  const double loss = value_of(update.loss, 0), no_limit = std::numeric_limits<double>::infinity();
  const bool applied = std::isfinite(loss) && std::isfinite(norm) && loss <= value_of(update.loss_limit, no_limit) &&
                       norm <= value_of(update.norm_limit, no_limit);
  const UpdateReport report{scalar_like(num_updates_, norm, at::kDouble), scalar_like(num_updates_, applied, at::kBool)};
  if (!applied) {
    std::memset(gradient, 0, static_cast<std::size_t>(parameters_.gradient().numel()) * sizeof(float));
    return report;
  }
  double& num_updates = *num_updates_.data_ptr<double>();
  num_updates += 1;
  const auto [beta1, beta2] = config_.betas;
  AdamWNumbers numbers;
  if (config_.clip_norm > 0 && norm > config_.clip_norm) numbers.clip = static_cast<float>(config_.clip_norm / norm);
  numbers.beta1 = static_cast<float>(beta1);
  numbers.beta2 = static_cast<float>(beta2);
  numbers.one_minus_beta1 = static_cast<float>(1 - beta1);
  numbers.one_minus_beta2 = static_cast<float>(1 - beta2);
  numbers.step_size = static_cast<float>(update.lr / (1 - std::pow(beta1, num_updates)));
  numbers.root_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, num_updates)));
  numbers.eps = static_cast<float>(config_.eps);
  AdamWNumbers decaying = numbers;
  decaying.keep = static_cast<float>(1 - update.lr * config_.weight_decay);

  float* weight = parameters_.master().data_ptr<float>();
  float* exp_avg = exp_avg_.data_ptr<float>();
  float* exp_avg_sq = exp_avg_sq_.data_ptr<float>();
  const bool has_copy = parameters_.compute().scalar_type() == at::kBFloat16;
  ops::Bf16* compute = has_copy ? ops::write<ops::Bf16>(parameters_.compute()) : nullptr;
  for_each_piece(pieces_, [&](const Segment& piece, std::size_t) {
    const std::int64_t at = piece.begin;
    const AdamWPiece work{weight + at, gradient + at, exp_avg + at, exp_avg_sq + at, has_copy ? compute + at : nullptr, piece.end - at};
    ops::run_kernel<AdamWKernel, const AdamWPiece*, const AdamWNumbers*>(&work, piece.decay ? &decaying : &numbers);
  });
  return report;
}

// Where the update does not apply, every factor below is the neutral one, so that state and weights stay bit for bit.
UpdateReport AdamW::update_with_aten(const Update& update) {
  at::Tensor gradient = parameters_.gradient(), weight = parameters_.master().detach();
  const at::Tensor norm = at::linalg_vector_norm(gradient, 2, std::nullopt, false, at::kDouble);
  at::Tensor applied = at::isfinite(update.loss).logical_and(at::isfinite(norm));
  if (update.loss_limit.defined()) applied = applied.logical_and(update.loss <= update.loss_limit);
  if (update.norm_limit.defined()) applied = applied.logical_and(norm <= update.norm_limit);
  num_updates_.add_(applied.to(at::kDouble));
  const at::Tensor n = num_updates_.clamp_min(1);  // 0 only where nothing applies
  const auto choose = [&](const at::Tensor& value, double neutral) {
    return at::where(applied, value, at::full_like(value, neutral)).to(at::kFloat);
  };
  const auto constant = [&](double value) { return scalar_like(num_updates_, value, at::kDouble); };

  const at::Tensor clip = config_.clip_norm > 0 ? (config_.clip_norm / norm).clamp_max(1) : constant(1);
  const auto [beta1, beta2] = config_.betas;
  const at::Tensor g = at::where(applied, gradient * choose(clip, 1), at::zeros({}, gradient.options()));
  exp_avg_.mul_(choose(constant(beta1), 1)).add_(g * choose(constant(1 - beta1), 0));
  exp_avg_sq_.mul_(choose(constant(beta2), 1)).add_(g * g * choose(constant(1 - beta2), 0));
  const at::Tensor keep = choose(constant(1 - update.lr * config_.weight_decay), 1);
  for (const Segment& segment : segments_)
    if (segment.decay) weight.narrow(0, segment.begin, segment.end - segment.begin).mul_(keep);
  const at::Tensor root_scale = (1 - at::pow(at::full_like(n, beta2), n)).sqrt().reciprocal().to(at::kFloat);
  const at::Tensor step_size = choose(update.lr / (1 - at::pow(at::full_like(n, beta1), n)), 0);
  weight.sub_(step_size * (exp_avg_ / (exp_avg_sq_.sqrt() * root_scale + config_.eps)));
  gradient.zero_();
  parameters_.refresh_compute();
  return {norm, applied};
}

std::vector<Optimizer::State> AdamW::state() {
  std::vector<State> all;
  for (const char* kind : {"exp_avg", "exp_avg_sq"}) {
    const at::Tensor& flat = std::strcmp(kind, "exp_avg") == 0 ? exp_avg_ : exp_avg_sq_;
    for (const ops::Parameters::Named& parameter : parameters_.named())
      all.push_back({std::string(kind) + "." + parameter.spec->name,
                     flat.narrow(0, parameter.offset, parameter.spec->num_elements()).view(parameter.spec->shape)});
  }
  all.push_back({"num_updates", num_updates_});
  return all;
}

namespace {
std::int64_t bytes_per_parameter(const AdamWConfig&) { return 2 * sizeof(float); }  // exp_avg, exp_avg_sq
}  // namespace

std::int64_t state_bytes_per_parameter(const OptimizerConfig& config) {
  return std::visit([](const auto& c) { return bytes_per_parameter(c); }, config);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, ops::Parameters& parameters) {
  return std::visit([&](const auto& c) -> std::unique_ptr<Optimizer> { return std::make_unique<AdamW>(c, parameters); }, config);
}

}  // namespace sluice::optim
