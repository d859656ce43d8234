#include "train/observers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/perplexity.h"
#include "train/batches.h"
#include "train/open_checkpoint.h"

namespace sluice::train {
namespace {

constexpr double kRedraw_s = 0.1;  // of the live line

bool is_scheduled_save(const Watch& watch, std::int64_t step) { return step % watch.run.resolved.config.checkpoint.every_steps == 0; }
bool is_finished(const Watch& watch, std::int64_t step) { return step == watch.run.resolved.steps; }

std::uint64_t evaluation_tokens(const Watch& watch, std::int64_t step) {
  const ResolvedRun& run = watch.run.resolved;
  return is_finished(watch, step) ? run.final_evaluation_tokens : run.evaluation_tokens;
}

void note_best(Watch& watch, std::int64_t step) {
  const bool is_kept = is_scheduled_save(watch, step) || is_finished(watch, step);
  if (!is_kept || !watch.latest || watch.latest->step != step || !std::isfinite(watch.latest->log_perplexity)) return;
  if (!watch.best || watch.latest->log_perplexity < watch.best->log_perplexity) watch.best = watch.latest;
}

// Evaluations after `step` and up to the last one; each as long as the one before.
double evaluations_left_s(const Watch& watch, std::int64_t step) {
  const std::int64_t every = watch.run.resolved.evaluate_every_steps, total = watch.run.resolved.steps;
  if (every == 0 || watch.evaluation_s == 0) return 0;
  const std::int64_t count = total / every - step / every + (total % every != 0 ? 1 : 0);
  return static_cast<double>(count) * watch.evaluation_s;
}

std::string progress_line(const Watch& watch, const Metrics::Latest& latest) {
  const std::int64_t total = watch.run.resolved.steps;
  const double tokens_left = static_cast<double>(total - latest.step) * static_cast<double>(watch.run.resolved.tokens_per_step());
  std::string line = cat("step ", latest.step, "/", total, "  loss ", fixed(latest.loss, 3), "  perplexity ",
                         fixed(std::exp(latest.log_perplexity), 1), "  ", with_commas(std::llround(latest.tokens_per_s)), " tokens/s");
  if (latest.step < total && latest.tokens_per_s > 0)
    line += "  ETA " + human_duration(tokens_left / latest.tokens_per_s + evaluations_left_s(watch, latest.step));
  return line;
}

void observe_evaluation(Watch& watch, const Event& event) {
  const std::int64_t step = event.progress.step;
  const bool interrupted = event.last && !is_finished(watch, step);
  if (event.diverged || interrupted || (watch.latest && watch.latest->step == step)) return;
  try {
    evaluate(watch, step);
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kInterrupted) throw;  // the loop sees the stop itself, and saves
  }
  watch.metrics.start_clock();
}

void observe_checkpoint(Watch& watch, const Event& event) {
  if (event.diverged) return;
  save(watch, event.progress);
  watch.metrics.start_clock();
}

Every progress_observer(Watch& watch) {
  return {1, [&watch, shown_s = monotonic_s(), shown_step = std::int64_t{-1}](const Event& event) mutable {
            const double now_s = monotonic_s(),
                         wait_s = log::is_terminal() ? kRedraw_s : watch.run.resolved.config.train.log_interval.count;
            const auto& latest = watch.metrics.latest();
            if (!latest || latest->step == shown_step || (now_s - shown_s < wait_s && !event.last)) return;
            shown_s = now_s;
            shown_step = latest->step;
            const std::string line = progress_line(watch, *latest);
            if (!log::is_terminal()) return log::info(line);
            log::progress(line);
            if (event.last) log::end_progress();
          }};
}

}  // namespace

bool is_evaluated(const Watch& watch, std::int64_t step) {
  const std::int64_t every = watch.run.resolved.evaluate_every_steps;
  if (every == 0 || held_out(watch.run.resolved.config, watch.data).stream.num_tokens() == 0) return false;
  return step % every == 0 || is_finished(watch, step);
}

namespace {

eval::Perplexity measure_tokens(const Watch& watch, std::uint64_t max_tokens) {
  const ResolvedRun& run = watch.run.resolved;
  const HeldOut text = held_out(run.config, watch.data);
  const auto batches = make_evaluation_batches(run, text.stream, *watch.data.tokenizer, {.max_tokens = max_tokens});
  return eval::measure_perplexity(watch.run.model, *batches, counts_of_targets(*run.objective, text.counts), watch.run.device, {});
}

// The best checkpoint is chosen among figures of the same tokens: the last step is measured once more where its evaluation has another limit.
double comparable(const Watch& watch, std::int64_t step, double log_perplexity) {
  const ResolvedRun& run = watch.run.resolved;
  if (!is_finished(watch, step) || run.evaluation_tokens == run.final_evaluation_tokens) return log_perplexity;
  return *measure_tokens(watch, run.evaluation_tokens).figures.log_perplexity;
}

}  // namespace

eval::Perplexity measure(const Watch& watch, std::int64_t step) { return measure_tokens(watch, evaluation_tokens(watch, step)); }

void evaluate(Watch& watch, std::int64_t step) {
  const double begin_s = monotonic_s();
  const eval::Perplexity result = measure(watch, step);
  watch.evaluation_s = monotonic_s() - begin_s;
  watch.metrics.add_evaluation(step, result);
  if (is_finished(watch, step)) watch.final_evaluation = result;
  watch.latest = BestEvaluation{step, comparable(watch, step, *result.figures.log_perplexity)};
  note_best(watch, step);
  const auto count = [](std::uint64_t tokens) { return with_commas(static_cast<std::int64_t>(tokens)); };
  std::string line = cat("step ", step, ": held-out log-perplexity ", fixed(*result.figures.log_perplexity, 4), ", perplexity ",
                         fixed(*result.figures.perplexity, 2), " (", count(result.num_tokens), " tokens");
  if (is_finished(watch, step) && result.num_dropped_tokens > 0)
    line += cat("; not scored: ", count(result.num_dropped_tokens), " tokens, the tail shorter than one segment");
  log::info(line + ")");
}

// In pieces: isfinite makes 7 bytes of temporaries per element, which at once would be the peak of a run of large weights.
bool all_finite(const at::Tensor& flat) {
  constexpr std::int64_t kPiece = 1 << 20;
  const std::vector<at::Tensor> pieces = flat.split(kPiece);
  return std::all_of(pieces.begin(), pieces.end(), [](const at::Tensor& piece) { return at::isfinite(piece).all().item<bool>(); });
}

// An update of finite size can still carry a weight past fp32's range: such weights are never saved.
void require_finite(const ops::Parameters& parameters) {
  const at::NoGradGuard no_grad;
  if (!all_finite(parameters.master()))
    fail(ExitCode::kDiverged, "training", "weights that are not finite",
         "needs finite weights to save a checkpoint; the last one is from before: lower the learning rate");
}

void save(Watch& watch, const Progress& progress) {
  const std::optional<std::int64_t> best_step = watch.best ? std::optional(watch.best->step) : std::nullopt;
  if (progress.step == watch.saved_step && best_step == watch.saved_best) return;
  require_finite(watch.savable.parameters);
  watch.metrics.flush();
  const CheckpointState state{progress, watch.best, watch.data.fingerprint};
  watch.checkpoints.require_space(watch.checkpoint_bytes);
  watch.checkpoints.save(progress.step, checkpoint_files(watch.savable, state), checkpoint_notes(watch.savable, state));
  watch.saved_step = progress.step;
  watch.saved_best = best_step;
  // An unscheduled save deletes nothing, so that an interrupted run keeps what an unbroken one would return to.
  if (!is_scheduled_save(watch, progress.step) && !is_finished(watch, progress.step)) return;
  const store::CheckpointConfig& config = watch.run.resolved.config.checkpoint;
  for (const store::DamagedCheckpoint& one : watch.checkpoints.retain(config.keep_last, config.keep_best ? best_step : std::nullopt))
    warn_of_damage(one.reason);
}

void catch_up_evaluation(Watch& watch, const Progress& progress) {
  const std::int64_t step = progress.step;
  if (!is_evaluated(watch, step)) return;
  const std::vector<EvaluationLine> logged = read_evaluations(watch.metrics.path());
  const auto done = std::find_if(logged.begin(), logged.end(), [&](const EvaluationLine& one) { return one.step == step; });
  if (done == logged.end()) {
    try {
      evaluate(watch, step);
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kInterrupted) throw;
      if (!is_finished(watch, step)) return;  // the loop sees the stop itself, and says what is saved
      fail(ExitCode::kInterrupted, watch.metrics.path().parent_path().string(),
           cat("stopped by ", stop_signal(), " after step ", step, ", everything is saved but its evaluation"), "");
    }
  } else if (const auto figure = done->eval.figures.log_perplexity) {
    watch.latest = BestEvaluation{step, comparable(watch, step, *figure)};
    note_best(watch, step);
  }
  if (step > 0) save(watch, progress);  // that of step 0 is written before its evaluation
}

Progress return_to_checkpoint(Watch& watch, ops::Parameters& parameters) {
  std::vector<std::int64_t> steps = watch.checkpoints.steps();
  std::reverse(steps.begin(), steps.end());
  std::stable_partition(steps.begin(), steps.end(), [&](std::int64_t step) { return is_scheduled_save(watch, step); });
  for (const std::int64_t step : steps) {
    const std::filesystem::path directory = watch.checkpoints.directory() / store::checkpoint_name(step);
    try {
      store::verify_checkpoint(directory);
    } catch (const UserError& error) {
      warn_of_damage(error.what());
      continue;
    }
    const CheckpointState state = read_state(directory);
    restore(directory, parameters, watch.savable.optimizer);
    watch.metrics.return_to(step);
    watch.saved_step = step;
    watch.saved_best = state.best ? std::optional(state.best->step) : std::nullopt;
    watch.latest.reset();
    return state.progress;
  }
  fail(ExitCode::kNoCheckpoint, watch.checkpoints.directory().string(), "no checkpoint that verifies", "needs one to roll back to");
}

std::vector<Every> observers_of(Watch& watch) {
  std::vector<Every> observers;
  observers.push_back({1, [&watch](const Event& event) { watch.metrics.add(event); }});
  const std::int64_t every = watch.run.resolved.evaluate_every_steps;
  if (every > 0 && held_out(watch.run.resolved.config, watch.data).stream.num_tokens() > 0)
    observers.push_back({every, [&watch](const Event& event) { observe_evaluation(watch, event); }});
  observers.push_back(
      {watch.run.resolved.config.checkpoint.every_steps, [&watch](const Event& event) { observe_checkpoint(watch, event); }});
  observers.push_back(progress_observer(watch));
  return observers;
}

}  // namespace sluice::train
