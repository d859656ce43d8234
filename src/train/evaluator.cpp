#include "train/evaluator.h"

#include <cmath>

#include "base/clock.h"
#include "base/log.h"
#include "base/text_format.h"
#include "ops/cuda.h"
#include "train/batches.h"
#include "train/samples.h"

namespace sluice::train {

bool Evaluator::is_active() const {
  return run_.evaluate_every_steps > 0 && held_out(run_.config, data_).stream.num_tokens() > 0;
}

bool Evaluator::is_due(std::int64_t step) const {
  return is_active() && (step % run_.evaluate_every_steps == 0 || run_.is_last(step));
}

eval::Perplexity Evaluator::measure(std::int64_t step, bool alone) const {
  return measure_tokens(run_.is_last(step) ? run_.final_evaluation_tokens : run_.evaluation_tokens,
                        alone);
}

eval::Perplexity Evaluator::measure_tokens(std::uint64_t max_tokens, bool alone) const {
  const HeldOut text = held_out(run_.config, data_);
  const auto batches =
      make_evaluation_batches(run_, text.stream, *data_.tokenizer, {.max_tokens = max_tokens});
  eval::Processes processes;
  if (group_ != nullptr && !alone)
    processes = {group_->rank(), group_->size(), [group = group_](auto all, const auto& count_of) {
                   group->gather(all, count_of);
                 }};
  return eval::measure_perplexity(model_, *batches, counts_of_targets(*run_.objective, text.counts),
                                  device_, ops::inference_context(device_), processes);
}

void Evaluator::evaluate(std::int64_t step, Metrics& metrics) {
  const double begin_s = monotonic_s();
  const eval::Perplexity result = measure(step);
  const std::vector<SampleText> samples =
      write_samples(model_, run_, data_, /*may_stop=*/group_ == nullptr);
  last_s_ = monotonic_s() - begin_s;
  metrics.add_evaluation(step, result, samples);
  metrics.add_weights(step, model_.parameters());
  if (run_.is_last(step)) final_result_ = result;
  record(step, *result.figures.log_perplexity);
  const auto count = [](std::uint64_t tokens) {
    return with_commas(static_cast<std::int64_t>(tokens));
  };
  std::string line =
      cat("step ", step, ": held-out log-perplexity ", fixed(*result.figures.log_perplexity, 4),
          ", perplexity ", fixed(*result.figures.perplexity, 2), " (", count(result.num_tokens),
          " tokens");
  if (run_.is_last(step) && result.num_dropped_tokens > 0)
    line += cat("; not scored: ", count(result.num_dropped_tokens),
                " tokens, the tail shorter than one segment");
  log::info(line + ")");
}

void Evaluator::record(std::int64_t step, double log_perplexity) {
  // Only results on the same tokens are comparable: if the last evaluation has another limit, the
  // last step is also measured with the periodic one.
  if (run_.is_last(step) && run_.evaluation_tokens != run_.final_evaluation_tokens)
    log_perplexity = *measure_tokens(run_.evaluation_tokens).figures.log_perplexity;
  latest_ = BestEvaluation{step, log_perplexity};
  const bool has_checkpoint = run_.is_scheduled_save(step) || run_.is_last(step);
  if (!has_checkpoint || !std::isfinite(log_perplexity)) return;
  if (!best_ || log_perplexity < best_->log_perplexity) best_ = latest_;
}

double Evaluator::seconds_left(std::int64_t step) const {
  const std::int64_t every = run_.evaluate_every_steps, total = run_.steps;
  if (every == 0 || last_s_ == 0) return 0;
  const std::int64_t count = total / every - step / every + (total % every != 0 ? 1 : 0);
  return static_cast<double>(count) * last_s_;
}

}  // namespace sluice::train
