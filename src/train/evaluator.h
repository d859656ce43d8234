// Held-out evaluation during a run: when it is due, what it gives, and which checkpoint is the best.
#pragma once

#include <cstdint>
#include <optional>

#include "data/prepared.h"
#include "eval/perplexity.h"
#include "model/language_model.h"
#include "train/checkpoint_state.h"
#include "train/metrics.h"
#include "train/resolve.h"

namespace sluice::train {

// Borrows what it is made from. Evaluating never changes the run.
class Evaluator {
 public:
  Evaluator(const model::LanguageModel& model, const ResolvedRun& run, const data::PreparedData& data, at::Device device)
      : model_(model), run_(run), data_(data), device_(device) {}

  // True where the configuration ever wants an evaluation, and there is held-out text.
  bool is_active() const;
  // True where it wants one after `step` steps.
  bool is_due(std::int64_t step) const;
  // Held-out perplexity as the configuration wants it after `step` steps. kInterrupted when a stop is requested.
  eval::Perplexity measure(std::int64_t step) const;
  // Measures, writes and shows it. kInterrupted likewise: then it is done on resume.
  void evaluate(std::int64_t step, Metrics& metrics);
  // The same for a step whose figure the metrics have already: it counts for the best one.
  void take(std::int64_t step, double log_perplexity);

  // What the evaluations after `step` will take, each as long as the last one.
  double seconds_left(std::int64_t step) const;
  bool has_done(std::int64_t step) const { return latest_ && latest_->step == step; }
  // That of the run's last step, where this process did it.
  const std::optional<eval::Perplexity>& final_result() const { return final_result_; }

  // The best one with a checkpoint.
  const std::optional<BestEvaluation>& best() const { return best_; }
  // As a checkpoint has it.
  void set_best(const std::optional<BestEvaluation>& best) { best_ = best; }
  // After a return to an earlier step: it is evaluated again.
  void forget_latest() { latest_.reset(); }

 private:
  eval::Perplexity measure_tokens(std::uint64_t max_tokens) const;

  const model::LanguageModel& model_;
  const ResolvedRun& run_;
  const data::PreparedData& data_;
  at::Device device_;
  std::optional<BestEvaluation> latest_, best_;
  std::optional<eval::Perplexity> final_result_;
  double last_s_ = 0;  // what the last one took
};

}  // namespace sluice::train
