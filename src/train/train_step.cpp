#include "train/train_step.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "eval/feed.h"

namespace sluice::train {

StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer, std::span<const data::Batch> micro_batches,
                     const StepConfig& config) {
  StepStats stats;
  for (const data::Batch& batch : micro_batches) stats.num_targets += batch.num_targets;
  invariant(stats.num_targets > 0, "a step has targets");

  ops::Context context{.form = config.form, .training = true, .seed = config.seed, .step = config.step};
  for (const data::Batch& batch : micro_batches) {
    if (batch.num_targets > 0) {
      const at::Tensor loss = model.loss(eval::to_device(batch, config.device), 1.0 / static_cast<double>(stats.num_targets), context);
      loss.backward();
      stats.loss = stats.loss.defined() ? stats.loss + loss.detach() : loss.detach();
    }
    context.first_sample += batch.num_sequences;
  }
  const optim::UpdateReport report =
      optimizer.update({.lr = config.lr, .loss = stats.loss, .loss_limit = config.loss_limit, .norm_limit = config.norm_limit});
  stats.grad_norm = report.grad_norm;
  stats.applied = report.applied;
  return stats;
}

}  // namespace sluice::train
