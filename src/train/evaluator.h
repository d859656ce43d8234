// Held-out evaluation during a run: schedule, results, and the best checkpoint.
#pragma once

#include <cstdint>
#include <optional>

#include "data/prepared.h"
#include "dist/group.h"
#include "eval/perplexity.h"
#include "model/language_model.h"
#include "optim/shards.h"
#include "train/checkpoint_state.h"
#include "train/metrics.h"
#include "train/resolve.h"
#include "train/section_weights.h"

namespace sluice::train {

// Borrows the constructor's arguments. Evaluation never changes the run.
class Evaluator {
 public:
  // Borrowed. `section_weights`: if parameters are sharded, among the processes of `shards`.
  struct Parts {
    const model::LanguageModel& model;
    const ResolvedRun& run;
    const data::PreparedData& data;
    at::Device device = at::kCPU;
    // The processes that share each evaluation; nullptr: one, which a stop interrupts.
    dist::Group* group = nullptr;
    const optim::Shards& shards;
    SectionWeights* section_weights = nullptr;
  };
  explicit Evaluator(const Parts& parts) : parts_(parts) {}

  // True if the configuration enables evaluation and there is held-out text.
  bool is_active() const;
  // True if an evaluation is due after `step` steps.
  bool is_due(std::int64_t step) const;
  // Held-out perplexity with the token limit configured for `step`. Without a group, kInterrupted
  // if a stop is requested.
  eval::Perplexity measure(std::int64_t step) const;
  // Measures, and adds the figures and samples of text to the metrics and the log. kInterrupted as
  // above; a resume then repeats it.
  void evaluate(std::int64_t step, Metrics& metrics);
  // Updates the best evaluation with a result that is already in the metrics.
  void record(std::int64_t step, double log_perplexity);

  // Estimated time of the evaluations after `step`, each as long as the last one.
  double seconds_left(std::int64_t step) const;
  bool has_done(std::int64_t step) const { return latest_ && latest_->step == step; }
  // The evaluation of the run's last step, if this process has done it.
  const std::optional<eval::Perplexity>& final_result() const { return final_result_; }
  // Does it, but adds nothing to metrics and log.
  void measure_result(std::int64_t step) {
    if (!final_result_) final_result_ = measure(step);
  }

  // The best evaluation that has a checkpoint.
  const std::optional<BestEvaluation>& best() const { return best_; }
  // Restores it from a checkpoint.
  void set_best(const std::optional<BestEvaluation>& best) { best_ = best; }
  // After a rollback: the step is evaluated again.
  void forget_latest() { latest_.reset(); }

 private:
  eval::Perplexity measure_tokens(std::uint64_t max_tokens) const;
  void add_weights(std::int64_t step, Metrics& metrics) const;

  Parts parts_;
  std::optional<BestEvaluation> latest_, best_;
  std::optional<eval::Perplexity> final_result_;
  double last_s_ = 0;  // duration of the last evaluation
};

}  // namespace sluice::train
