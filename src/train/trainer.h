// A training run: the loop, and around it evaluations, checkpoints, metrics and a line for the person who waits. None of what stands
// around it touches the weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/batch_source.h"
#include "train/checkpointer.h"
#include "train/evaluator.h"
#include "train/event.h"
#include "train/metrics.h"
#include "train/resolve.h"

namespace sluice::train {

// What a trainer is made from, borrowed.
struct TrainerParts {
  model::LanguageModel& model;
  optim::Optimizer& optimizer;
  const data::TrainingBatches& batches;
  const data::PreparedData& data;
  const ResolvedRun& run;
  at::Device device = at::kCPU;
};

class Trainer {
 public:
  // `checkpointer` and `metrics` are borrowed too.
  Trainer(const TrainerParts& parts, Checkpointer& checkpointer, Metrics& metrics);

  // Model, optimizer and metrics as `checkpoint` has them, which has been verified; without one, initial weights, saved as step 0.
  // Then the evaluation that is due there, where the metrics do not have it.
  Progress begin(const std::optional<std::filesystem::path>& checkpoint);

  // Runs to the last step, or until a stop is requested; returns where it stands. `more` come before the trainer's own callbacks.
  // kDiverged as the policy says.
  Progress train(Progress progress, std::span<const Callback> more = {});

  // The evaluation of a step that is due and not in the metrics: at the start of a run, and where a stop cut one short. Where they
  // have it, a process that died may have known of it alone: it counts for the best one, and the checkpoint says so too. A stop cuts it
  // short: returns where steps follow, since the loop sees the stop itself, else throws kInterrupted.
  void catch_up_evaluation(const Progress& progress);

  const Evaluator& evaluator() const { return evaluator_; }

 private:
  std::vector<Callback> callbacks(std::span<const Callback> more);
  void evaluate_after(const Event& event);
  void save_after(const Event& event);
  // An earlier checkpoint, with the data of the steps since left out.
  Progress rolled_back(const Progress& progress);

  TrainerParts parts_;
  Evaluator evaluator_;
  Checkpointer& checkpointer_;
  Metrics& metrics_;
};

// What all steps of a run share; step, learning rate and limits are the loop's to set.
StepConfig step_config_of(const RunConfig& config, at::Device device);

}  // namespace sluice::train
