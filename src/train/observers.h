// What stands around the loop: metrics, evaluations, checkpoints, a line for the person who waits. None of it touches the weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/prepared.h"
#include "eval/perplexity.h"
#include "store/checkpoint_store.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/train.h"

namespace sluice::train {

// What the observers of a run share; `run`, `data` and the others are borrowed.
struct Watch {
  const Run& run;
  const data::PreparedData& data;
  const Savable& savable;
  store::CheckpointStore& checkpoints;
  Metrics& metrics;
  std::uint64_t checkpoint_bytes = 0;  // of one, for the space check before each

  std::optional<BestEvaluation> latest{}, best{};      // the evaluation done last; the best one with a checkpoint
  std::int64_t saved_step = -1;                        // the newest checkpoint's
  std::optional<std::int64_t> saved_best{};            // the step of the best evaluation that it names
  double evaluation_s = 0;                             // what the last evaluation took
  std::optional<eval::Perplexity> final_evaluation{};  // that of the run's last step, where this process did it
};

// Metrics, evaluation, checkpoints, progress, in the order in which they must be called. Keeps a reference.
std::vector<Every> observers_of(Watch& watch);

// True where the configuration wants an evaluation after `step` steps, and there is held-out text.
bool is_evaluated(const Watch& watch, std::int64_t step);
// Held-out perplexity as the configuration wants it after `step` steps. kInterrupted when a stop is requested.
eval::Perplexity measure(const Watch& watch, std::int64_t step);
// Measures held-out perplexity, writes and shows it. kInterrupted when a stop is requested: then it is done on resume.
void evaluate(Watch& watch, std::int64_t step);
// The same where the step is to be evaluated and the metrics have nothing of it: at the start of a run, and where a stop cut one short.
// Where they have it, a process that died may have known of it alone: it counts for the best one. Then the checkpoint says so too.
// A stop cuts it short: returns where steps follow, since the loop sees the stop itself, else throws kInterrupted.
void catch_up_evaluation(Watch& watch, const Progress& progress);

// Saves, after the metrics; deletes older checkpoints after scheduled steps and the last one. Does nothing where the
// newest checkpoint is of that step and names the same best evaluation.
void save(Watch& watch, const Progress& progress);

// Model, optimizer and metrics back to the newest scheduled checkpoint that verifies. kNoCheckpoint where there is none.
Progress return_to_checkpoint(Watch& watch, ops::Parameters& parameters);

}  // namespace sluice::train
