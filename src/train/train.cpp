#include "train/train.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "train/divergence.h"
#include "train/step_epochs.h"

namespace sluice::train {
namespace {

double peak_lr(const RunConfig& config) {
  return std::visit([](const auto& c) { return c.lr; }, config.optimizer);
}

// The limits as device scalars; undefined where there are none.
void set_limits(const Run& run, const Progress& progress, StepConfig& step) {
  const Limits limits = limits_of(progress, run.resolved.config.train.divergence);
  step.loss_limit = step.norm_limit = at::Tensor();
  if (std::isinf(limits.loss)) return;
  const auto options = at::TensorOptions().dtype(at::kDouble).device(run.device);
  step.loss_limit = at::full({}, limits.loss, options);
  step.norm_limit = at::full({}, limits.norm, options);
}

bool is_judged(const Run& run, const Progress& progress) {
  return progress.step % kJudgeEvery == 0 || progress.step % run.resolved.config.checkpoint.every_steps == 0 ||
         progress.step == run.resolved.steps;
}

[[noreturn]] void halt(const Run& run, const Progress& progress) {
  const DivergenceConfig& config = run.resolved.config.train.divergence;
  const bool by_policy = config.policy == DivergencePolicy::kHalt;
  fail(ExitCode::kDiverged, "training", describe_divergence(progress, config),
       by_policy ? "train.divergence.policy is halt; the last checkpoint is from before: lower the learning rate, or go on with --resume "
                   "and policy skip or rollback"
                 : cat("more than train.divergence.max_events (", config.max_events, ") of its kind: lower the learning rate"));
}

void notify(std::span<const Every> observers, const Event& event) {
  for (const Every& observer : observers)
    if (event.last || (observer.steps > 0 && event.progress.step % observer.steps == 0)) observer.observe(event);
}

Progress rolled_back(const Run& run, const Progress& progress) {
  invariant(static_cast<bool>(run.return_to_checkpoint), "a run that may roll back knows how");
  Progress earlier = run.return_to_checkpoint();
  log::warn(cat("training: ", describe_divergence(progress, run.resolved.config.train.divergence), "; back to step ", earlier.step,
                ", leaving out the data of ", count_of(static_cast<std::int64_t>(progress.data_step - earlier.data_step), "step"),
                " since"));
  earlier.data_step = progress.data_step;
  earlier.num_events = progress.num_events + 1;
  std::erase_if(earlier.unjudged, [](const StepValues& v) { return !v.applied; });  // judged just now
  return earlier;
}

}  // namespace

StepConfig step_config_of(const RunConfig& config, at::Device device) {
  return {.seed = config.run.seed, .z_loss = config.train.z_loss, .device = device, .reductions = config.train.reductions};
}

Progress train(const Run& run, Progress progress, std::span<const Every> observers) {
  const std::int64_t total_steps = run.resolved.steps;
  if (progress.step >= total_steps) return progress;
  const std::string long_step = step_epochs_warning(run.resolved.config.train.batch_sequences, run.batches.windows_per_epoch());
  if (!long_step.empty()) log::warn(long_step);
  StepConfig step = step_config_of(run.resolved.config, run.device);
  set_limits(run, progress, step);
  std::vector<StepStats> recent;  // steps whose values the host has not read
  StepStats stats;
  while (progress.step < total_steps && !stop_requested()) {
    step.step = static_cast<std::uint64_t>(progress.step);
    step.lr = peak_lr(run.resolved.config) * optim::schedule_factor(run.resolved.config.schedule, progress.step, total_steps);
    stats = train_step(run.model, run.optimizer, run.batches.batch(progress.data_step).split(run.resolved.micro_batch_sequences), step);
    recent.push_back(stats);
    ++progress.step;
    ++progress.data_step;
    progress.tokens += static_cast<std::uint64_t>(stats.num_targets);

    const Verdict verdict = is_judged(run, progress) ? judge(progress, recent, run.resolved.config.train.divergence) : Verdict::kGoOn;
    if (verdict == Verdict::kHalt) {
      notify(observers, {.progress = progress, .stats = stats, .lr = step.lr, .last = true, .diverged = true});
      halt(run, progress);
    }
    if (verdict == Verdict::kRollback) {
      progress = rolled_back(run, progress);
      set_limits(run, progress, step);
      stats = {};
      continue;
    }
    if (progress.step % kJudgeEvery == 0) {
      settle(progress, run.resolved.config.train.divergence);
      set_limits(run, progress, step);
    }
    if (progress.step < total_steps && !stop_requested()) notify(observers, {.progress = progress, .stats = stats, .lr = step.lr});
  }
  if (!stats.loss.defined()) return progress;  // no step was taken
  for (const StepStats& unread : std::exchange(recent, {})) progress.unjudged.push_back(read_values(unread));
  notify(observers, {.progress = progress, .stats = stats, .lr = step.lr, .last = true});
  return progress;
}

}  // namespace sluice::train
