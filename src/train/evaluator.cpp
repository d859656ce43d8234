#include "train/evaluator.h"

#include <cmath>

#include "base/clock.h"
#include "base/log.h"
#include "base/text_format.h"
#include "ops/cuda.h"
#include "train/batches.h"
#include "train/samples.h"
#include "train/sharding.h"

namespace sluice::train {

bool Evaluator::is_active() const {
  return parts_.run.evaluate_every_steps > 0 &&
         held_out(parts_.run.config, parts_.data).stream.num_tokens() > 0;
}

bool Evaluator::is_due(std::int64_t step) const {
  return is_active() && (step % parts_.run.evaluate_every_steps == 0 || parts_.run.is_last(step));
}

eval::Perplexity Evaluator::measure(std::int64_t step) const {
  return measure_tokens(parts_.run.is_last(step) ? parts_.run.final_evaluation_tokens
                                                 : parts_.run.evaluation_tokens);
}

eval::Perplexity Evaluator::measure_tokens(std::uint64_t max_tokens) const {
  const HeldOut text = held_out(parts_.run.config, parts_.data);
  const auto batches = make_evaluation_batches(parts_.run, text.stream, *parts_.data.tokenizer,
                                               {.max_tokens = max_tokens});
  eval::Processes processes;
  dist::Group* const group = parts_.group;
  if (group != nullptr)
    processes = {
        .rank = group->rank(),
        .size = group->size(),
        .gather = [group](auto all, const auto& count_of) { group->gather(all, count_of); },
        .same_passes = parts_.section_weights != nullptr};
  ops::Context context = ops::inference_context(parts_.device);
  if (parts_.section_weights != nullptr)
    context.before_section = parts_.section_weights->before_section();
  eval::Perplexity result = eval::measure_perplexity(
      parts_.model, *batches, counts_of_targets(*parts_.run.objective, text.counts), parts_.device,
      context, processes);
  if (parts_.section_weights != nullptr) parts_.section_weights->release_all();
  return result;
}

// Rank 0 writes; the others send what it does not have.
void Evaluator::add_weights(std::int64_t step, Metrics& metrics) const {
  const ops::Parameters& parameters = parts_.model.parameters();
  dist::Group* const group = parts_.group;
  if (!parts_.shards.of_parameters)
    return metrics.add_weights(step, parameters, [](const auto& one) { return one.value; });
  if (!parts_.run.config.train.tensorboard.value_or(true)) return;
  if (group->rank() != 0) return send_weights(parameters, parts_.shards, *group);
  metrics.add_weights(step, parameters,
                      [&](const auto& one) { return receive_whole(one, parts_.shards, *group); });
}

void Evaluator::evaluate(std::int64_t step, Metrics& metrics) {
  const double begin_s = monotonic_s();
  const eval::Perplexity result = measure(step);
  const std::vector<SampleText> samples =
      write_samples(parts_.model, parts_.run, parts_.data, /*may_stop=*/parts_.group == nullptr);
  last_s_ = monotonic_s() - begin_s;
  metrics.add_evaluation(step, result, samples);
  add_weights(step, metrics);
  if (parts_.run.is_last(step)) final_result_ = result;
  record(step, *result.figures.log_perplexity);
  const auto count = [](std::uint64_t tokens) {
    return with_commas(static_cast<std::int64_t>(tokens));
  };
  std::string line =
      cat("step ", step, ": held-out log-perplexity ", fixed(*result.figures.log_perplexity, 4),
          ", perplexity ", fixed(*result.figures.perplexity, 2), " (", count(result.num_tokens),
          " tokens");
  if (parts_.run.is_last(step) && result.num_dropped_tokens > 0)
    line += cat("; not scored: ", count(result.num_dropped_tokens),
                " tokens, the tail shorter than one segment");
  log::info(line + ")");
}

void Evaluator::record(std::int64_t step, double log_perplexity) {
  // Only results on the same tokens are comparable: if the last evaluation has another limit, the
  // last step is also measured with the periodic one.
  if (parts_.run.is_last(step) &&
      parts_.run.evaluation_tokens != parts_.run.final_evaluation_tokens)
    log_perplexity = *measure_tokens(parts_.run.evaluation_tokens).figures.log_perplexity;
  latest_ = BestEvaluation{step, log_perplexity};
  const bool has_checkpoint = parts_.run.is_scheduled_save(step) || parts_.run.is_last(step);
  if (!has_checkpoint || !std::isfinite(log_perplexity)) return;
  if (!best_ || log_perplexity < best_->log_perplexity) best_ = latest_;
}

double Evaluator::seconds_left(std::int64_t step) const {
  const std::int64_t every = parts_.run.evaluate_every_steps, total = parts_.run.steps;
  if (every == 0 || last_s_ == 0) return 0;
  const std::int64_t count = total / every - step / every + (total % every != 0 ? 1 : 0);
  return static_cast<double>(count) * last_s_;
}

}  // namespace sluice::train
