// The training loop, with evaluations, checkpoints, metrics and the progress line as callbacks.
// Callbacks never change the weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "data/batch_source.h"
#include "dist/group.h"
#include "train/checkpointer.h"
#include "train/device_sums.h"
#include "train/evaluator.h"
#include "train/event.h"
#include "train/metrics.h"
#include "train/resolve.h"
#include "train/section_weights.h"

namespace sluice::train {

// Components of a trainer, borrowed.
struct TrainerParts {
  model::LanguageModel& model;
  optim::Optimizer& optimizer;
  const data::TrainingBatches& batches;
  const data::PreparedData& data;
  const ResolvedRun& run;
  at::Device device = at::kCPU;
  dist::Group* group = nullptr;  // the other processes of the run
};

class Trainer {
 public:
  // `checkpointer` and `metrics` are borrowed too.
  // All processes of a group call the same functions; those other than rank 0 have metrics and a
  // checkpointer that write nothing.
  Trainer(const TrainerParts& parts, Checkpointer& checkpointer, Metrics& metrics);

  // Restores model, optimizer and metrics from a verified checkpoint, or initializes the weights
  // and saves step 0. Then does the evaluation that is due if the metrics do not have it.
  Progress begin(const std::optional<std::filesystem::path>& checkpoint);

  // Trains to the last step or until a stop is requested; returns the progress. `more` are called
  // before the trainer's own callbacks. kDiverged according to the policy.
  Progress train(Progress progress, std::span<const Callback> more = {});

  // Does the evaluation that is due if the metrics do not have it: at the start of a run, and after
  // a stop interrupted it. If they have it, the last checkpoint may not (the process died in
  // between), so the best evaluation and the checkpoint are updated. If a stop interrupts it,
  // returns if steps follow, since the loop handles the stop; otherwise throws kInterrupted.
  void catch_up_evaluation(const Progress& progress);

  // All processes call it: measures the held-out text after the last step, unless that was done.
  void measure_result(const Progress& progress) { evaluator_.measure_result(progress.step); }
  const Evaluator& evaluator() const { return evaluator_; }

 private:
  // An evaluation in the metrics.
  struct LoggedEvaluation {
    bool exists = false;
    double log_perplexity = std::numeric_limits<double>::quiet_NaN();
  };
  LoggedEvaluation find_logged(std::int64_t step) const;
  std::vector<Callback> callbacks(std::span<const Callback> more, SharedWeights& shared);
  void evaluate_after(const Event& event);
  void save_after(const Event& event, SharedWeights& shared);
  // Restores an earlier checkpoint; the data of the steps since then is skipped.
  Progress rolled_back(const Progress& progress);
  void wait_for_all() const;
  // Whether to stop, given the last step, in all processes the same.
  bool is_stopping(const StepStats& last) const;
  // kPeerLost in all processes if the weights of any have changed since the last update.
  void require_intact_weights(SharedWeights& shared) const;
  // Compares the weights of all processes if that is due after this step.
  void check_weights(const Progress& progress, const StepStats& last, SharedWeights& shared) const;

  TrainerParts parts_;
  std::unique_ptr<SectionWeights> section_weights_;  // if parameters are sharded
  std::unique_ptr<DeviceSums> device_sums_;          // if several processes use GPUs
  Evaluator evaluator_;
  Checkpointer& checkpointer_;
  Metrics& metrics_;
};

// Settings shared by all steps of a run; the loop sets step, learning rate and limits.
StepConfig step_config_of(const RunConfig& config, at::Device device, dist::Group* group = nullptr);

}  // namespace sluice::train
