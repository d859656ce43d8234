// Where a run stands, and on which data: train_state.json of a checkpoint.
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
    return std::tuple{config::field<&BestEvaluation::step>("A step whose checkpoint is kept.", config::NonNegative{}),
                      config::field<&BestEvaluation::log_perplexity>("Its held-out figure.", config::NonNegative{})};
  }
};

struct CheckpointState {
  static constexpr config::RecordFormat record{.name = "train-state",
                                               .place = "RUN/checkpoints/step-N/train_state.json",
                                               .summary = "Where a run stands. A function of the run: no times, no paths.",
                                               .expected = "the train state as this program writes it"};
  Progress progress{};
  std::optional<BestEvaluation> best{};
  std::string fingerprint{};

  static constexpr auto fields() {
    return std::tuple{config::rows_of<&CheckpointState::progress>(), config::field<&CheckpointState::best>("The best evaluation so far."),
                      config::field<&CheckpointState::fingerprint>("Of the prepared data.", config::Key{"data_fingerprint"})};
  }
};

}  // namespace sluice::train
