#include "train/train_step.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "eval/feed.h"

namespace sluice::train {
namespace {

void add(at::Tensor& sum, const at::Tensor& part) { sum = sum.defined() ? sum + part : part; }

// As a device scalar; undefined for infinity.
at::Tensor limit_on(at::Device device, double limit) {
  if (std::isinf(limit)) return {};
  return at::full({}, limit, at::TensorOptions().dtype(at::kDouble).device(device));
}

}  // namespace

StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer,
                     std::span<const data::Batch> micro_batches, const StepConfig& config) {
  StepStats stats;
  for (const data::Batch& batch : micro_batches) stats.num_targets += batch.num_targets;
  invariant(stats.num_targets > 0, "a step has targets");

  const model::LossScale scale{.scale = 1.0 / static_cast<double>(stats.num_targets),
                               .z_loss = config.z_loss};
  ops::Context context{.form = config.form,
                       .reductions = config.reductions,
                       .training = true,
                       .seed = config.seed,
                       .step = config.step};
  for (const data::Batch& batch : micro_batches) {
    if (batch.num_targets > 0) {
      const model::Loss loss = model.loss(eval::to_device(batch, config.device), scale, context);
      loss.total.backward();
      add(stats.loss, loss.total.detach());
      add(stats.log_perplexity, loss.cross_entropy);
    }
    context.first_sample += batch.num_sequences;
  }
  const optim::UpdateReport report =
      optimizer.update({.lr = config.lr,
                        .loss = stats.loss,
                        .loss_limit = limit_on(config.device, config.loss_limit),
                        .norm_limit = limit_on(config.device, config.norm_limit)});
  stats.grad_norm = report.grad_norm;
  stats.applied = report.applied;
  return stats;
}

}  // namespace sluice::train
