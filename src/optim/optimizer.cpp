#include "optim/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <variant>

#include "base/error.h"
#include "optim/adafactor.h"
#include "optim/adamw.h"
#include "optim/gpu_update.h"
#include "optim/muon.h"
#include "optim/pieces.h"
#include "optim/update_guard.h"

namespace sluice::optim {

Optimizer::Optimizer(ops::Parameters& parameters, ops::Form form, gpu::Device* device,
                     const Limits& limits, Shards shards)
    : parameters_(parameters),
      limits_(limits),
      kernels_(form == ops::Form::kReference  ? Kernels::kNone
               : device != nullptr            ? Kernels::kGpu
               : parameters.master().is_cpu() ? Kernels::kCpu
                                              : Kernels::kNone),
      shards_(std::move(shards)),
      own_(shards_.own(parameters.arena_elements())) {
  invariant(!shards_.is_divided() || on_cpu(), "a divided arena is updated on CPUs");
  invariant(parameters.gradient().defined(), "an optimizer needs gradients");
  num_updates_ = scalar_like(parameters.master(), 0);
  if (!on_gpu()) return;
  grad_norm_ = scalar_like(num_updates_, 0);
  applied_ = scalar_like(num_updates_, 0, at::kBool);
}

UpdateReport Optimizer::update(const Update& update) {
  invariant(update.loss.defined() && update.loss.scalar_type() == at::kDouble,
            "Optimizer::update: the loss is a float64 scalar");
  const at::NoGradGuard no_grad;
  switch (kernels_) {
    case Kernels::kCpu:
      return update_on_cpu(update);
    case Kernels::kGpu:
      return update_on_gpu(update);
    default:
      return update_masked(update);
  }
}

std::vector<double> Optimizer::gather_values(const std::vector<double>& own) {
  const auto own_at = pieces_of_ranks_.begin() + shards_.rank;
  std::vector<double> all(static_cast<std::size_t>(
      std::accumulate(pieces_of_ranks_.begin(), pieces_of_ranks_.end(), std::int64_t{0})));
  std::copy(own.begin(), own.end(),
            all.begin() + std::accumulate(pieces_of_ranks_.begin(), own_at, std::int64_t{0}));
  shards_.gather(all, [&](int r) { return pieces_of_ranks_[static_cast<std::size_t>(r)]; });
  return all;
}

void Optimizer::gather_pieces(std::size_t num_own) {
  std::vector<double> counts(static_cast<std::size_t>(shards_.size()));
  counts[static_cast<std::size_t>(shards_.rank)] = static_cast<double>(num_own);
  shards_.gather(counts, [](int) { return 1; });
  for (const double count : counts) pieces_of_ranks_.push_back(static_cast<std::int64_t>(count));
  const std::vector<std::int64_t> own = piece_begins();
  invariant(own.size() == num_own, "Optimizer: each piece has a sum");
  const std::vector<double> begins = gather_values({own.begin(), own.end()});  // below 2^53
  order_of_pieces_.resize(begins.size());
  std::iota(order_of_pieces_.begin(), order_of_pieces_.end(), std::size_t{0});
  std::sort(order_of_pieces_.begin(), order_of_pieces_.end(),
            [&](std::size_t a, std::size_t b) { return begins[a] < begins[b]; });
}

// The sum of the same values in the same order for any number of processes.
double Optimizer::gradient_norm() {
  const std::vector<double> own = gradient_squares();
  if (!shards_.is_divided()) return std::sqrt(sum_of(own));
  if (pieces_of_ranks_.empty()) gather_pieces(own.size());
  const std::vector<double> all = gather_values(own);
  double sum = 0;
  for (const std::size_t piece : order_of_pieces_) sum += all[piece];
  return std::sqrt(sum);
}

UpdateReport Optimizer::update_on_cpu(const Update& update) {
  const double norm = gradient_norm();
  const double clip =
      limits_.clip_norm > 0 && norm > limits_.clip_norm ? limits_.clip_norm / norm : 1.0;
  const bool applied = should_apply(update, norm) && norm * clip <= limits_.max_norm;
  if (applied) {
    double& num_updates = *num_updates_.data_ptr<double>();
    num_updates += 1;
    if (update.before_apply) update.before_apply();
    apply(update.lr, clip, num_updates);
  } else {
    for (const ArenaRange& range : own_)
      at::Tensor(parameters_.gradient()).narrow(0, range.begin, range.size()).zero_();
  }
  return {scalar_like(num_updates_, norm), scalar_like(num_updates_, applied, at::kBool)};
}

void Optimizer::launch(const GpuUpdate&) {
  invariant(false, "Optimizer: an optimizer without kernels for GPUs has no device");
}

UpdateReport Optimizer::update_on_gpu(const Update& update) {
  const at::Device device = num_updates_.device();
  const auto is_scalar = [&](const at::Tensor& x) {
    return x.numel() == 1 && x.scalar_type() == at::kDouble && x.device() == device;
  };
  invariant(update.device_lr.defined() && is_scalar(update.device_lr) && is_scalar(update.loss),
            "Optimizer::update: lr and loss are float64 scalars on the device of the parameters");
  for (const at::Tensor& limit : {update.loss_limit, update.norm_limit})
    invariant(!limit.defined() || is_scalar(limit),
              "Optimizer::update: limits are float64 scalars on the device of the parameters");
  launch({.lr = update.device_lr,
          .loss = update.loss,
          .loss_limit = update.loss_limit,
          .norm_limit = update.norm_limit,
          .num_updates = num_updates_,
          .grad_norm = grad_norm_,
          .applied = applied_});
  return {grad_norm_, applied_};
}

UpdateReport Optimizer::update_masked(const Update& update) {
  const at::Tensor norm =
      at::linalg_vector_norm(parameters_.gradient(), 2, std::nullopt, false, at::kDouble);
  const at::Tensor clip =
      limits_.clip_norm > 0 ? (limits_.clip_norm / norm).clamp_max(1) : scalar_like(norm, 1);
  const at::Tensor applied =
      should_apply(update, norm).logical_and(norm * clip <= limits_.max_norm);
  num_updates_.add_(applied.to(at::kDouble));
  // The clamp matters only if no update has been applied yet, including this one.
  apply_masked({.lr = update.device_lr.defined() ? update.device_lr : scalar_like(norm, update.lr),
                .clip = clip,
                .num_updates = num_updates_.clamp_min(1),
                .applied = applied});
  parameters_.gradient().zero_();
  parameters_.refresh_compute();
  return {norm, applied};
}

std::vector<Optimizer::State> Optimizer::state() {
  std::vector<State> all = moments();
  all.push_back({"num_updates", num_updates_});
  return all;
}

Optimizer::State Optimizer::state_of(std::string name, std::vector<std::int64_t> shape,
                                     at::Tensor tensor,
                                     const ops::Parameters::Declared& parameter) const {
  State state{std::move(name), std::move(tensor), std::move(shape)};
  if (!shards_.is_divided()) return state;
  const std::int64_t n = parameter.spec->num_elements(),
                     count = std::accumulate(state.shape.begin(), state.shape.end(),
                                             std::int64_t{1}, std::multiplies<>());
  state.begins.push_back(0);
  for (const std::vector<ArenaRange>& part : shards_.parts) {
    const std::int64_t elements =
        ops::num_elements(ops::common(part, {{parameter.offset, parameter.offset + n}}));
    invariant(count == n || elements == 0 || elements == n, "the arena is cut where it may be");
    state.begins.push_back(state.begins.back() + (elements == n ? count : elements));
  }
  state.tensor = state.tensor.defined() ? state.tensor.flatten() : at::empty({0}, at::kFloat);
  return state;
}

// Each optimizer declares make(), state_size_of() and cuts_of() for its config next to its class.
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters,
                     const std::optional<std::vector<ArenaRange>>& part) {
  return std::visit(
      [&](const auto& c) {
        return state_size_of(c, parameters, part.value_or(parameters.whole()));
      },
      config);
}

std::vector<std::vector<ArenaRange>> shard_parts(const OptimizerConfig& config,
                                                 const ops::Parameters& parameters, int num_ranks,
                                                 const std::vector<ArenaRange>& sections) {
  if (num_ranks == 1) return {};
  const std::vector<std::int64_t> cuts =
      std::visit([&](const auto& c) { return cuts_of(c, parameters); }, config);
  std::vector<ArenaRange> regions = ops::rest_of(parameters.arena_elements(), sections);
  regions.insert(regions.end(), sections.begin(), sections.end());
  std::sort(regions.begin(), regions.end(),
            [](const ArenaRange& a, const ArenaRange& b) { return a.begin < b.begin; });
  return divide_regions(regions, cuts, parameter_cuts(parameters), num_ranks);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          ops::Parameters& parameters, gpu::Device* device,
                                          Shards shards) {
  return std::visit([&](const auto& c) { return make(c, parameters, device, std::move(shards)); },
                    config);
}

}  // namespace sluice::optim
