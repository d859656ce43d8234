#include "optim/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <variant>

#include "base/error.h"
#include "optim/adafactor.h"
#include "optim/adamw.h"
#include "optim/gpu_update.h"
#include "optim/muon.h"
#include "optim/update_guard.h"

namespace sluice::optim {

Optimizer::Optimizer(ops::Parameters& parameters, ops::Form form, gpu::Device* device,
                     const Limits& limits)
    : parameters_(parameters),
      limits_(limits),
      kernels_(form == ops::Form::kReference  ? Kernels::kNone
               : device != nullptr            ? Kernels::kGpu
               : parameters.master().is_cpu() ? Kernels::kCpu
                                              : Kernels::kNone) {
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

UpdateReport Optimizer::update_on_cpu(const Update& update) {
  const double norm = gradient_norm();
  const double clip =
      limits_.clip_norm > 0 && norm > limits_.clip_norm ? limits_.clip_norm / norm : 1.0;
  const bool applied = should_apply(update, norm) && norm * clip <= limits_.max_norm;
  if (applied) {
    double& num_updates = *num_updates_.data_ptr<double>();
    num_updates += 1;
    apply(update.lr, clip, num_updates);
  } else {
    parameters_.gradient().zero_();
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

// Each optimizer declares make() and state_size_of() for its config next to its class.
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters) {
  return std::visit([&](const auto& c) { return state_size_of(c, parameters); }, config);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          ops::Parameters& parameters, gpu::Device* device) {
  return std::visit([&](const auto& c) { return make(c, parameters, device); }, config);
}

}  // namespace sluice::optim
