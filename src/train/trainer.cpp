#include "train/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "store/metrics_log.h"
#include "train/divergence.h"
#include "train/progress_line.h"
#include "train/sharding.h"
#include "train/step_epochs.h"
#include "train/step_runner.h"

namespace sluice::train {
namespace {

// Of the step after `step` finished ones.
double learning_rate(const ResolvedRun& run, std::int64_t step) {
  const double peak = std::visit([](const auto& c) { return c.lr; }, run.config.optimizer);
  return peak * optim::schedule_factor(run.config.schedule, step, run.steps);
}

void count_step(Progress& progress, std::int64_t num_targets) {
  ++progress.step;
  ++progress.data_step;
  progress.tokens += static_cast<std::uint64_t>(num_targets);
}

void warn_of_long_steps(const TrainerParts& parts) {
  const std::string warning = step_epochs_warning(parts.run.config.train.batch_sequences,
                                                  parts.batches.windows_per_epoch());
  if (!warning.empty()) log::warn(warning);
}

void set_limits(const TrainerParts& parts, const Progress& progress, StepConfig& step) {
  const Limits limits = limits_of(progress, parts.run.config.train.divergence);
  step.loss_limit = limits.loss;
  step.norm_limit = limits.norm;
}

bool is_divergence_check_due(const ResolvedRun& run, const Progress& progress) {
  return progress.step % kDivergenceInterval == 0 || run.is_scheduled_save(progress.step) ||
         run.is_last(progress.step);
}

[[noreturn]] void halt(const DivergenceConfig& config, const Progress& progress) {
  const bool by_policy = config.policy == DivergencePolicy::kHalt;
  fail(ExitCode::kDiverged, "training",
       cat(describe_divergence(progress, config),
           by_policy ? "; train.divergence.policy is halt; the last checkpoint is not affected: "
                       "lower the learning rate, or use --resume with policy skip or rollback"
                     : cat("; more than train.divergence.max_events ", config.max_events,
                           ": lower the learning rate")));
}

void call(std::span<const Callback> callbacks, const Event& event) {
  for (const Callback& callback : callbacks)
    if (event.last || (callback.every > 0 && event.progress.step % callback.every == 0))
      callback.function(event);
}

GradientSumsConfig sums_config(const TrainerParts& parts) {
  const optim::Shards& shards = parts.optimizer.shards();
  const auto bytes = parts.run.config.distributed.bucket.count;
  return {.exact = parts.run.is_exact(),
          .group = parts.group,
          .begins = shards.of_parameters ? std::vector<std::int64_t>{} : shards.begins(),
          .sections = parts.model.gradient_sections(),
          .bucket_elements = bytes / static_cast<std::int64_t>(sizeof(float))};
}

std::unique_ptr<SectionWeights> make_section_weights(const TrainerParts& parts) {
  if (!parts.optimizer.shards().of_parameters) return nullptr;
  return std::make_unique<SectionWeights>(parts.model.parameters(), parts.optimizer.shards(),
                                          *parts.group, parts.model.gradient_sections());
}

StepRunner make_runner(const TrainerParts& parts, SectionWeights* section_weights,
                       DeviceSums* device_sums) {
  return StepRunner(
      parts.model, parts.optimizer, [device = parts.device] { return ops::make_recorder(device); },
      sums_config(parts), section_weights, device_sums);
}

// Every step up to the checkpoint should have a line.
void warn_of_missing_metrics(const std::filesystem::path& metrics, std::int64_t step) {
  std::int64_t num_lines = 0;
  store::read_metrics(metrics, [&](std::int64_t, const nlohmann::ordered_json& line) {
    num_lines += line.contains("loss");
  });
  if (num_lines < step)
    log::warn(cat(metrics.string(), ": lines for ", num_lines, " of ", count_of(step, "step"),
                  "; the others are missing"));
}

}  // namespace

StepConfig step_config_of(const RunConfig& config, at::Device device, dist::Group* group) {
  return {.seed = config.run.dropout_seed(),
          .z_loss = config.train.z_loss,
          .device = device,
          .gpu = ops::gpu_of(device),
          .reductions = config.train.reductions,
          .deterministic = config.train.deterministic,
          .group = group};
}

Trainer::Trainer(const TrainerParts& parts, Checkpointer& checkpointer, Metrics& metrics)
    : parts_(parts),
      section_weights_(make_section_weights(parts)),
      device_sums_(parts.group != nullptr && parts.device.is_cuda()
                       ? std::make_unique<DeviceSums>(*parts.group)
                       : nullptr),
      evaluator_({.model = parts.model,
                  .run = parts.run,
                  .data = parts.data,
                  .device = parts.device,
                  .group = parts.group,
                  .shards = parts.optimizer.shards(),
                  .section_weights = section_weights_.get()}),
      checkpointer_(checkpointer),
      metrics_(metrics) {}

Progress Trainer::begin(const std::optional<std::filesystem::path>& checkpoint) {
  Progress progress;
  if (checkpoint) {
    CheckpointState state = checkpointer_.restore(*checkpoint);
    progress = std::move(state.progress);
    evaluator_.set_best(state.best);
    log::info(cat("continuing from step ", progress.step));
  } else {
    ops::Parameters& parameters = parts_.model.parameters();
    parameters.initialize(parts_.run.config.run.initial_values_seed(),
                          resident_ranges(parameters, parts_.optimizer.shards()));
  }
  wait_for_all();  // until they have read the checkpoint, which rank 0 may replace
  metrics_.return_to(checkpoint ? progress.step : -1);
  wait_for_all();
  if (checkpoint && metrics_.is_written()) warn_of_missing_metrics(metrics_.path(), progress.step);
  checkpointer_.save(progress, evaluator_.best(), metrics_);
  catch_up_evaluation(progress);
  return progress;
}

void Trainer::catch_up_evaluation(const Progress& progress) {
  const std::int64_t step = progress.step;
  if (!evaluator_.is_due(step)) return;
  const LoggedEvaluation done = find_logged(step);
  if (!done.exists) {
    try {
      evaluator_.evaluate(step, metrics_);
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kInterrupted) throw;
      // The loop handles the stop and reports what is saved.
      if (!parts_.run.is_last(step)) return;
      fail(ExitCode::kInterrupted, metrics_.path().parent_path().string(),
           cat("stopped by ", stop_signal(), " after step ", step,
               ", checkpoint saved, evaluation pending"));
    }
  } else if (std::isfinite(done.log_perplexity)) {
    evaluator_.record(step, done.log_perplexity);
  }
  // The checkpoint of step 0 is written before its evaluation.
  if (step > 0) checkpointer_.save(progress, evaluator_.best(), metrics_);
}

Trainer::LoggedEvaluation Trainer::find_logged(std::int64_t step) const {
  LoggedEvaluation found;
  if (metrics_.is_written())
    for (const EvaluationLine& one : read_evaluations(metrics_.path())) {
      if (one.step != step) continue;
      found = {true, one.eval.figures.log_perplexity.value_or(found.log_perplexity)};
      break;
    }
  if (parts_.group == nullptr) return found;
  // Rank 0 writes the file, so only rank 0 reads it.
  std::array<double, 2> values = {found.exists ? 1.0 : 0.0, found.log_perplexity};
  parts_.group->broadcast(values);
  return {values[0] != 0, values[1]};
}

void Trainer::evaluate_after(const Event& event) {
  const std::int64_t step = event.progress.step;
  const bool interrupted = event.last && !parts_.run.is_last(step);
  if (event.diverged || interrupted || evaluator_.has_done(step)) return;
  metrics_.write_out();
  try {
    evaluator_.evaluate(step, metrics_);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kInterrupted) throw;  // the loop handles the stop
  }
  metrics_.start_clock();
}

// Weights that change during the save must not be saved.
void Trainer::save_after(const Event& event, SharedWeights& shared) {
  if (event.diverged) return;
  metrics_.write_out();
  checkpointer_.save(event.progress, evaluator_.best(), metrics_,
                     [&] { require_intact_weights(shared); });
  metrics_.start_clock();
}

// The order matters: each callback uses the results of those before it.
std::vector<Callback> Trainer::callbacks(std::span<const Callback> more, SharedWeights& shared) {
  std::vector<Callback> all(more.begin(), more.end());
  all.push_back({1, [this](const Event& event) { metrics_.add(event); }});
  if (evaluator_.is_active())
    all.push_back(
        {parts_.run.evaluate_every_steps, [this](const Event& event) { evaluate_after(event); }});
  all.push_back({parts_.run.config.checkpoint.every_steps,
                 [this, &shared](const Event& event) { save_after(event, shared); }});
  all.push_back({1, ProgressLine(parts_.run, metrics_, evaluator_)});
  return all;
}

void Trainer::wait_for_all() const {
  if (parts_.group != nullptr) parts_.group->barrier();
}

bool Trainer::is_stopping(const StepStats& last) const {
  return parts_.group == nullptr ? stop_requested() : last.stop;
}

void Trainer::require_intact_weights(SharedWeights& shared) const {
  if (parts_.group == nullptr) return;
  shared.check();
  require_intact(*parts_.group, parts_.group->gather_flags(shared.is_intact()));
}

// Faulty memory or arithmetic in one process would spread to the others with the next step.
void Trainer::check_weights(const Progress& progress, const StepStats& last,
                            SharedWeights& shared) const {
  if (parts_.group == nullptr) return;
  const ResolvedRun& run = parts_.run;
  const bool is_due = progress.step % run.config.distributed.check_every_steps == 0 ||
                      run.is_scheduled_save(progress.step) || run.is_last(progress.step) ||
                      is_stopping(last);
  const bool has_histograms =
      evaluator_.is_due(progress.step) && run.config.train.tensorboard.value_or(true);
  if (is_due || has_histograms) shared.complete();
  if (!is_due) return;
  require_intact_weights(shared);  // an update that is not applied has not checked them
  parts_.group->require_equal(cat("weights after step ", progress.step), shared.hash());
}

Progress Trainer::rolled_back(const Progress& progress) {
  Progress earlier = checkpointer_.restore_newest().progress;
  if (parts_.group != nullptr)
    parts_.group->require_equal("the checkpoint to roll back to",
                                {0, static_cast<std::uint64_t>(earlier.step)});
  metrics_.return_to(earlier.step);
  evaluator_.forget_latest();
  log::warn(
      cat("training: ", describe_divergence(progress, parts_.run.config.train.divergence),
          "; rolling back to step ", earlier.step, ", skipping the data of ",
          count_of(static_cast<std::int64_t>(progress.data_step - earlier.data_step), "step")));
  earlier.data_step = progress.data_step;
  earlier.num_events = progress.num_events + 1;
  // Already counted as an event.
  std::erase_if(earlier.pending, [](const StepValues& v) { return !v.applied; });
  return earlier;
}

Progress Trainer::train(Progress progress, std::span<const Callback> more) {
  const ResolvedRun& run = parts_.run;
  const DivergenceConfig& divergence = run.config.train.divergence;
  metrics_.start_clock();
  if (progress.step >= run.steps) return progress;
  warn_of_long_steps(parts_);
  StepConfig step = step_config_of(run.config, parts_.device, parts_.group);
  set_limits(parts_, progress, step);
  StepRunner runner = make_runner(parts_, section_weights_.get(), device_sums_.get());
  const std::vector<Callback> all = callbacks(more, runner.weights());
  std::vector<StepStats> recent;  // device values not read yet
  StepStats stats;
  const auto batches_at = [&](std::uint64_t data_step) {
    return parts_.batches.batch(data_step).split(run.micro_batch_sequences);
  };
  std::vector<data::Batch> micro_batches;  // of the next step
  while (progress.step < run.steps && !is_stopping(stats)) {
    if (micro_batches.empty()) micro_batches = batches_at(progress.data_step);
    step.step = static_cast<std::uint64_t>(progress.step);
    step.lr = learning_rate(run, progress.step);
    step.stop = stop_requested();
    stats = runner.run(micro_batches, step);
    recent.push_back(stats);
    count_step(progress, stats.num_targets);
    // While a GPU computes the step, and before the host waits for its values. A rollback does not
    // change which data comes next; after the last step, only a rollback needs any.
    micro_batches.clear();
    if (progress.step < run.steps) micro_batches = batches_at(progress.data_step);

    check_weights(progress, stats, runner.weights());
    const DivergenceAction action = is_divergence_check_due(run, progress)
                                        ? check_divergence(progress, recent, divergence)
                                        : DivergenceAction::kContinue;
    if (action == DivergenceAction::kHalt) {
      call(all,
           {.progress = progress, .stats = stats, .lr = step.lr, .last = true, .diverged = true});
      wait_for_all();
      halt(divergence, progress);
    }
    if (action == DivergenceAction::kRollback) {
      progress = rolled_back(progress);
      runner.forget_weights();
      set_limits(parts_, progress, step);
      stats = {};
      continue;
    }
    if (progress.step % kDivergenceInterval == 0) {
      update_means(progress, divergence);
      set_limits(parts_, progress, step);
    }
    if (progress.step < run.steps && !is_stopping(stats))
      call(all, {.progress = progress, .stats = stats, .lr = step.lr});
  }
  if (!stats.loss.defined()) return progress;  // no step was taken
  for (const StepValues& values : read_values(recent)) progress.pending.push_back(values);
  call(all, {.progress = progress, .stats = stats, .lr = step.lr, .last = true});
  wait_for_all();  // a launcher ends the other processes when one has ended, while rank 0 may save
  return progress;
}

}  // namespace sluice::train
