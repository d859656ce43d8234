#include "train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "store/metrics_log.h"
#include "train/divergence.h"
#include "train/progress_line.h"
#include "train/step_epochs.h"

namespace sluice::train {
namespace {

double peak_lr(const RunConfig& config) {
  return std::visit([](const auto& c) { return c.lr; }, config.optimizer);
}

// The limits as device scalars; undefined where there are none.
void set_limits(const TrainerParts& parts, const Progress& progress, StepConfig& step) {
  const Limits limits = limits_of(progress, parts.run.config.train.divergence);
  step.loss_limit = step.norm_limit = at::Tensor();
  if (std::isinf(limits.loss)) return;
  const auto options = at::TensorOptions().dtype(at::kDouble).device(parts.device);
  step.loss_limit = at::full({}, limits.loss, options);
  step.norm_limit = at::full({}, limits.norm, options);
}

bool is_judged(const ResolvedRun& run, const Progress& progress) {
  return progress.step % kJudgeEvery == 0 || run.is_scheduled_save(progress.step) || run.is_last(progress.step);
}

[[noreturn]] void halt(const DivergenceConfig& config, const Progress& progress) {
  const bool by_policy = config.policy == DivergencePolicy::kHalt;
  fail(ExitCode::kDiverged, "training", describe_divergence(progress, config),
       by_policy ? "train.divergence.policy is halt; the last checkpoint is from before: lower the learning rate, or go on with --resume "
                   "and policy skip or rollback"
                 : cat("more than train.divergence.max_events (", config.max_events, ") of its kind: lower the learning rate"));
}

void call(std::span<const Callback> callbacks, const Event& event) {
  for (const Callback& callback : callbacks)
    if (event.last || (callback.every > 0 && event.progress.step % callback.every == 0)) callback.function(event);
}

// Every step up to the checkpoint's has a line, unless somebody took them away.
void warn_of_missing_metrics(const std::filesystem::path& metrics, std::int64_t step) {
  std::int64_t num_lines = 0;
  store::read_metrics(metrics, [&](std::int64_t, const nlohmann::ordered_json& line) { num_lines += line.contains("loss"); });
  if (num_lines < step)
    log::warn(cat(metrics.string(), ": lines of ", num_lines, " of the ", count_of(step, "step"), " so far; the others are lost"));
}

}  // namespace

StepConfig step_config_of(const RunConfig& config, at::Device device) {
  return {.seed = config.run.seed, .z_loss = config.train.z_loss, .device = device, .reductions = config.train.reductions};
}

Trainer::Trainer(const TrainerParts& parts, Checkpointer& checkpointer, Metrics& metrics)
    : parts_(parts), evaluator_(parts.model, parts.run, parts.data, parts.device), checkpointer_(checkpointer), metrics_(metrics) {}

Progress Trainer::begin(const std::optional<std::filesystem::path>& checkpoint) {
  Progress progress;
  if (checkpoint) {
    CheckpointState state = checkpointer_.restore(*checkpoint);
    progress = std::move(state.progress);
    evaluator_.set_best(state.best);
    log::info(cat("continuing from step ", progress.step));
  } else {
    parts_.model.parameters().initialize(parts_.run.config.run.seed);
  }
  metrics_.return_to(checkpoint ? progress.step : -1);
  if (checkpoint) warn_of_missing_metrics(metrics_.path(), progress.step);
  checkpointer_.save(progress, evaluator_.best(), metrics_);
  catch_up_evaluation(progress);
  return progress;
}

void Trainer::catch_up_evaluation(const Progress& progress) {
  const std::int64_t step = progress.step;
  if (!evaluator_.is_due(step)) return;
  const std::vector<EvaluationLine> logged = read_evaluations(metrics_.path());
  const auto done = std::find_if(logged.begin(), logged.end(), [&](const EvaluationLine& one) { return one.step == step; });
  if (done == logged.end()) {
    try {
      evaluator_.evaluate(step, metrics_);
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kInterrupted) throw;
      if (!parts_.run.is_last(step)) return;  // the loop sees the stop itself, and says what is saved
      fail(ExitCode::kInterrupted, metrics_.path().parent_path().string(),
           cat("stopped by ", stop_signal(), " after step ", step, ", everything is saved but its evaluation"), "");
    }
  } else if (const auto figure = done->eval.figures.log_perplexity) {
    evaluator_.take(step, *figure);
  }
  if (step > 0) checkpointer_.save(progress, evaluator_.best(), metrics_);  // that of step 0 is written before its evaluation
}

void Trainer::evaluate_after(const Event& event) {
  const std::int64_t step = event.progress.step;
  const bool interrupted = event.last && !parts_.run.is_last(step);
  if (event.diverged || interrupted || evaluator_.has_done(step)) return;
  try {
    evaluator_.evaluate(step, metrics_);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kInterrupted) throw;  // the loop sees the stop itself, and saves
  }
  metrics_.start_clock();
}

void Trainer::save_after(const Event& event) {
  if (event.diverged) return;
  checkpointer_.save(event.progress, evaluator_.best(), metrics_);
  metrics_.start_clock();
}

// Metrics, evaluation, checkpoints, progress: in this order, since each needs what the one before it leaves.
std::vector<Callback> Trainer::callbacks(std::span<const Callback> more) {
  std::vector<Callback> all(more.begin(), more.end());
  all.push_back({1, [this](const Event& event) { metrics_.add(event); }});
  if (evaluator_.is_active()) all.push_back({parts_.run.evaluate_every_steps, [this](const Event& event) { evaluate_after(event); }});
  all.push_back({parts_.run.config.checkpoint.every_steps, [this](const Event& event) { save_after(event); }});
  all.push_back({1, ProgressLine(parts_.run, metrics_, evaluator_)});
  return all;
}

Progress Trainer::rolled_back(const Progress& progress) {
  Progress earlier = checkpointer_.restore_newest().progress;
  metrics_.return_to(earlier.step);
  evaluator_.forget_latest();
  log::warn(cat("training: ", describe_divergence(progress, parts_.run.config.train.divergence), "; back to step ", earlier.step,
                ", leaving out the data of ", count_of(static_cast<std::int64_t>(progress.data_step - earlier.data_step), "step"),
                " since"));
  earlier.data_step = progress.data_step;
  earlier.num_events = progress.num_events + 1;
  std::erase_if(earlier.unjudged, [](const StepValues& v) { return !v.applied; });  // judged just now
  return earlier;
}

Progress Trainer::train(Progress progress, std::span<const Callback> more) {
  const ResolvedRun& run = parts_.run;
  const DivergenceConfig& divergence = run.config.train.divergence;
  metrics_.start_clock();
  if (progress.step >= run.steps) return progress;
  const std::string long_step = step_epochs_warning(run.config.train.batch_sequences, parts_.batches.windows_per_epoch());
  if (!long_step.empty()) log::warn(long_step);
  const std::vector<Callback> all = callbacks(more);
  StepConfig step = step_config_of(run.config, parts_.device);
  set_limits(parts_, progress, step);
  std::vector<StepStats> recent;  // steps whose values the host has not read
  StepStats stats;
  while (progress.step < run.steps && !stop_requested()) {
    step.step = static_cast<std::uint64_t>(progress.step);
    step.lr = peak_lr(run.config) * optim::schedule_factor(run.config.schedule, progress.step, run.steps);
    stats = train_step(parts_.model, parts_.optimizer, parts_.batches.batch(progress.data_step).split(run.micro_batch_sequences), step);
    recent.push_back(stats);
    ++progress.step;
    ++progress.data_step;
    progress.tokens += static_cast<std::uint64_t>(stats.num_targets);

    const Verdict verdict = is_judged(run, progress) ? judge(progress, recent, divergence) : Verdict::kGoOn;
    if (verdict == Verdict::kHalt) {
      call(all, {.progress = progress, .stats = stats, .lr = step.lr, .last = true, .diverged = true});
      halt(divergence, progress);
    }
    if (verdict == Verdict::kRollback) {
      progress = rolled_back(progress);
      set_limits(parts_, progress, step);
      stats = {};
      continue;
    }
    if (progress.step % kJudgeEvery == 0) {
      update_means(progress, divergence);
      set_limits(parts_, progress, step);
    }
    if (progress.step < run.steps && !stop_requested()) call(all, {.progress = progress, .stats = stats, .lr = step.lr});
  }
  if (!stats.loss.defined()) return progress;  // no step was taken
  for (const StepStats& unread : std::exchange(recent, {})) progress.unjudged.push_back(read_values(unread));
  call(all, {.progress = progress, .stats = stats, .lr = step.lr, .last = true});
  return progress;
}

}  // namespace sluice::train
