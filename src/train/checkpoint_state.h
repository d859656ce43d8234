// Progress of a run and the fingerprint of its data: train_state.json of a checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "config/record.h"
#include "train/progress.h"

namespace sluice::train {

struct BestEvaluation {
  static constexpr bool as_list = true;
  std::int64_t step = 0;
  double log_perplexity = 0;

  static constexpr auto fields() {
    return std::tuple{
        config::field<&BestEvaluation::step>(
            "Step of the best evaluation, whose checkpoint is kept.", config::NonNegative{}),
        config::field<&BestEvaluation::log_perplexity>("Held-out log-perplexity of that step.",
                                                       config::NonNegative{})};
  }
};

struct CheckpointState {
  static constexpr config::RecordFormat record{
      .name = "train-state",
      .place = "RUN/checkpoints/step-N/train_state.json",
      .summary = "Progress of a run. A function of the run, without times or paths.",
      .expected = "the train state as written by this program"};
  Progress progress{};
  std::optional<BestEvaluation> best{};
  std::string fingerprint{};

  static constexpr auto fields() {
    return std::tuple{config::rows_of<&CheckpointState::progress>(),
                      config::field<&CheckpointState::best>("The best evaluation so far."),
                      config::field<&CheckpointState::fingerprint>(
                          "Fingerprint of the prepared data.", config::Key{"data_fingerprint"})};
  }
};

}  // namespace sluice::train
