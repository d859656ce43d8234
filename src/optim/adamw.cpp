#include "optim/adamw.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "ops/choose.h"
#include "optim/adamw_gpu.h"
#include "optim/pieces.h"
#include "optim/update_guard.h"

namespace sluice::optim {
namespace {

constexpr double kMinScale = 1e-3;  // of scale_by_rms

}  // namespace

std::vector<Segment> decay_segments(const ops::Parameters& parameters) {
  std::vector<Segment> segments;
  for (const ops::Parameters::Declared& parameter : parameters.declared()) {
    if (!segments.empty() && segments.back().decay == parameter.spec->decay) continue;
    if (!segments.empty()) segments.back().end = parameter.offset;
    segments.push_back({parameter.offset, 0, parameter.spec->decay});
  }
  if (!segments.empty()) segments.back().end = parameters.arena_elements();
  return segments;
}

std::vector<Segment> parameter_segments(const ops::Parameters& parameters) {
  std::vector<Segment> segments;
  for (const ops::Parameters::Declared& parameter : parameters.declared())
    segments.push_back({parameter.offset, parameter.offset + parameter.spec->num_elements(),
                        parameter.spec->decay});
  return segments;
}

AdamW::AdamW(const AdamWConfig& config, ops::Parameters& parameters, ops::Form form,
             gpu::Device* device, Shards shards)
    : Optimizer(parameters, form, device, {.clip_norm = config.clip_norm}, std::move(shards)),
      config_(config),
      segments_(config.scale_by_rms ? parameter_segments(parameters) : decay_segments(parameters)) {
  for (std::size_t i = 0; i < segments_.size(); ++i)
    for_each_piece(segments_[i].begin, segments_[i].end, kPieceElements,
                   [&](std::int64_t begin, std::int64_t end) {
                     if (owns(begin)) pieces_.push_back({begin, end, i, own_place(begin)});
                   });
  const at::TensorOptions options = parameters.master().options().requires_grad(false);
  exp_avg_ = at::zeros({ops::num_elements(own())}, options);
  exp_avg_sq_ = at::zeros({ops::num_elements(own())}, options);
  if (on_gpu()) gpu_ = std::make_unique<AdamWGpu>(*device, config, parameters, segments_);
}

AdamW::~AdamW() = default;

std::vector<double> AdamW::squares_of_pieces(const float* flat) const {
  std::vector<double> sums(pieces_.size());
  parallel_for_each(pieces_.size(), [&](std::size_t i) {
    ops::run_kernel<SumOfSquares, const float*, std::int64_t, double*>(
        flat + pieces_[i].begin, pieces_[i].end - pieces_[i].begin, &sums[i]);
  });
  return sums;
}

AdamWCoefficients adamw_coefficients(const AdamWConfig& config, double lr, double clip,
                                     double num_updates, bool decay) {
  const auto [beta1, beta2] = config.betas;
  AdamWCoefficients coefficients;
  coefficients.clip = static_cast<float>(clip);
  coefficients.beta1 = static_cast<float>(beta1);
  coefficients.beta2 = static_cast<float>(beta2);
  coefficients.one_minus_beta1 = static_cast<float>(1 - beta1);
  coefficients.one_minus_beta2 = static_cast<float>(1 - beta2);
  coefficients.step_size = static_cast<float>(lr / (1 - std::pow(beta1, num_updates)));
  coefficients.root_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, num_updates)));
  coefficients.eps = static_cast<float>(config.eps);
  if (decay) coefficients.keep = static_cast<float>(1 - lr * config.weight_decay);
  return coefficients;
}

std::vector<AdamWCoefficients> AdamW::segment_coefficients(double lr, double clip,
                                                           double num_updates) const {
  std::vector<AdamWCoefficients> all;
  for (const Segment& segment : segments_)
    all.push_back(adamw_coefficients(config_, lr, clip, num_updates, segment.decay));
  if (!config_.scale_by_rms) return all;

  const double step_size = lr / (1 - std::pow(config_.betas[0], num_updates)),
               root_scale = 1 / std::sqrt(1 - std::pow(config_.betas[1], num_updates));
  const std::vector<double> parts =
      squares_of_pieces(parameters().master().const_data_ptr<float>());
  std::vector<double> squares(segments_.size());
  for (std::size_t i = 0; i < pieces_.size(); ++i) squares[pieces_[i].segment] += parts[i];
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const double rms =
        std::sqrt(squares[i] / static_cast<double>(segments_[i].end - segments_[i].begin));
    all[i].step_size = static_cast<float>(step_size * std::max(kMinScale, rms));
    all[i].eps = static_cast<float>(config_.eps * root_scale);
  }
  return all;
}

std::vector<double> AdamW::gradient_squares() {
  return squares_of_pieces(parameters().gradient().const_data_ptr<float>());
}

std::vector<std::int64_t> AdamW::piece_begins() const {
  std::vector<std::int64_t> begins;
  for (const Piece& piece : pieces_) begins.push_back(piece.begin);
  return begins;
}

void AdamW::apply(double lr, double clip, double num_updates) {
  const std::vector<AdamWCoefficients> coefficients = segment_coefficients(lr, clip, num_updates);
  float* gradient = parameters().gradient().data_ptr<float>();
  float* weight = parameters().master().data_ptr<float>();
  float* exp_avg = exp_avg_.data_ptr<float>();
  float* exp_avg_sq = exp_avg_sq_.data_ptr<float>();
  const bool has_copy = parameters().compute().scalar_type() == at::kBFloat16;
  ops::Bf16* compute = has_copy ? ops::write<ops::Bf16>(parameters().compute()) : nullptr;
  parallel_for_each(pieces_.size(), [&](std::size_t i) {
    const Piece& piece = pieces_[i];
    const std::int64_t at = piece.begin, state_at = piece.state_at;
    const AdamWPiece work{weight + at,
                          gradient + at,
                          exp_avg + state_at,
                          exp_avg_sq + state_at,
                          has_copy ? compute + at : nullptr,
                          piece.end - at};
    ops::run_kernel<AdamWKernel, const AdamWPiece*, const AdamWCoefficients*>(
        &work, &coefficients[piece.segment]);
  });
}

void AdamW::launch(const GpuUpdate& update) { gpu_->launch(update, exp_avg_, exp_avg_sq_); }

// If the update is not applied, every factor below is neutral, so state and weights stay
// bit-identical.
void AdamW::apply_masked(const MaskedStep& masked) {
  const at::Tensor gradient = parameters().gradient(), weight = parameters().master().detach();
  const at::Tensor &applied = masked.applied, &n = masked.num_updates;
  const auto choose = [&](const at::Tensor& value, double neutral) {
    return at::where(applied, value, at::full_like(value, neutral)).to(at::kFloat);
  };
  const auto constant = [&](double value) { return scalar_like(n, value); };

  const auto [beta1, beta2] = config_.betas;
  const at::Tensor g =
      at::where(applied, gradient * choose(masked.clip, 1), at::zeros({}, gradient.options()));
  exp_avg_.mul_(choose(constant(beta1), 1)).add_(g * choose(constant(1 - beta1), 0));
  exp_avg_sq_.mul_(choose(constant(beta2), 1)).add_(g * g * choose(constant(1 - beta2), 0));
  const at::Tensor root_scale =
      (1 - at::pow(at::full_like(n, beta2), n)).sqrt().reciprocal().to(at::kFloat);
  const at::Tensor root = exp_avg_sq_.sqrt();
  const at::Tensor step = exp_avg_ / (config_.scale_by_rms ? (root + config_.eps) * root_scale
                                                           : root * root_scale + config_.eps);
  const auto part = [](const at::Tensor& flat, const Segment& segment) {
    return flat.narrow(0, segment.begin, segment.end - segment.begin);
  };
  if (config_.scale_by_rms)
    for (const Segment& segment : segments_)
      part(step, segment)
          .mul_(part(weight, segment)
                    .to(at::kDouble)
                    .square()
                    .mean()
                    .sqrt()
                    .clamp_min(kMinScale)
                    .to(at::kFloat));
  const at::Tensor keep = choose(1 - masked.lr * config_.weight_decay, 1);
  for (const Segment& segment : segments_)
    if (segment.decay) part(weight, segment).mul_(keep);
  const at::Tensor step_size = choose(masked.lr / (1 - at::pow(at::full_like(n, beta1), n)), 0);
  weight.sub_(step_size * step);
}

std::vector<Optimizer::State> AdamW::moments() {
  std::vector<State> all;
  for (const char* kind : {"exp_avg", "exp_avg_sq"}) {
    const at::Tensor& flat = std::strcmp(kind, "exp_avg") == 0 ? exp_avg_ : exp_avg_sq_;
    for (const ops::Parameters::Declared& parameter : parameters().declared()) {
      const std::vector<ArenaRange> ranges = ops::common(
          own(), {{parameter.offset, parameter.offset + parameter.spec->num_elements()}});
      invariant(ranges.size() <= 1, "AdamW: consecutive elements of a parameter");
      const at::Tensor part = ranges.empty()
                                  ? flat.narrow(0, 0, 0)
                                  : flat.narrow(0, own_place(ranges[0].begin), ranges[0].size());
      all.push_back(state_of(std::string(kind) + "." + parameter.spec->name, parameter.spec->shape,
                             shards().is_divided() ? part : part.view(parameter.spec->shape),
                             parameter));
    }
  }
  return all;
}

std::unique_ptr<Optimizer> make(const AdamWConfig& config, ops::Parameters& parameters,
                                gpu::Device* device, Shards shards) {
  return std::make_unique<AdamW>(config, parameters, ops::Form::kFastest, device,
                                 std::move(shards));
}

// Between the pieces, so that each has its sum of squares in one process.
std::vector<std::int64_t> cuts_of(const AdamWConfig& config, const ops::Parameters& parameters) {
  if (config.scale_by_rms) return parameter_cuts(parameters);
  std::vector<std::int64_t> cuts;
  for (const Segment& segment : decay_segments(parameters))
    for_each_piece(segment.begin, segment.end, kPieceElements,
                   [&](std::int64_t begin, std::int64_t) { cuts.push_back(begin); });
  return cuts;
}

StateSize state_size_of(const AdamWConfig&, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part) {
  constexpr std::uint64_t kMoments = 2 * sizeof(float);  // exp_avg, exp_avg_sq
  const std::uint64_t memory = kMoments * static_cast<std::uint64_t>(ops::num_elements(part));
  return {.memory_bytes = memory,
          .gpu_memory_bytes = memory,  // the tables are negligible: 48 bytes per 8192 elements
          .checkpoint_bytes = kMoments * static_cast<std::uint64_t>(parameters.num_parameters())};
}

}  // namespace sluice::optim
