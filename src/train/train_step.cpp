#include "train/train_step.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "eval/feed.h"

namespace sluice::train {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& part) { sum = sum.defined() ? sum + part : part; }

// As a device scalar; undefined for infinity.
at::Tensor limit_on(at::Device device, double limit) {
  if (std::isinf(limit)) return {};
  return at::full({}, limit, at::TensorOptions().dtype(at::kDouble).device(device));
}

}  // namespace

std::int64_t num_targets_of(std::span<const data::Batch> micro_batches) {
  std::int64_t sum = 0;
  for (const data::Batch& batch : micro_batches) sum += batch.num_targets;
  invariant(sum > 0, "a step has targets");
  return sum;
}

void LossSums::add(const model::Loss& loss) {
  add_to(total, loss.total.detach());
  add_to(log_perplexity, loss.cross_entropy);
}

StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer,
                     std::span<const data::Batch> micro_batches, const StepConfig& config) {
  StepStats stats{.num_targets = num_targets_of(micro_batches)};
  const model::LossScale scale{.scale = 1.0 / static_cast<double>(stats.num_targets),
                               .z_loss = config.z_loss};
  ops::Context context{.form = config.form,
                       .reductions = config.reductions,
                       .training = true,
                       .deterministic = config.deterministic,
                       .seed = config.seed,
                       .step = config.step};
  LossSums sums;
  for (const data::Batch& batch : micro_batches) {
    if (batch.num_targets > 0) {
      const model::Loss loss = model.loss(eval::to_device(batch, config.device), scale, context);
      loss.total.backward();
      sums.add(loss);
    }
    context.first_sample += batch.num_sequences;
  }
  const optim::UpdateReport report =
      optimizer.update({.lr = config.lr,
                        .loss = sums.total,
                        .loss_limit = limit_on(config.device, config.loss_limit),
                        .norm_limit = limit_on(config.device, config.norm_limit)});
  stats.loss = sums.total;
  stats.log_perplexity = sums.log_perplexity;
  stats.grad_norm = report.grad_norm;
  stats.applied = report.applied;
  return stats;
}

}  // namespace sluice::train
