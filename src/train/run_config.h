// The root of the YAML: everything a run is made from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/field.h"
#include "data/objective.h"
#include "model/model_config.h"
#include "optim/optimizer_config.h"
#include "optim/schedule.h"
#include "store/checkpoint_config.h"
#include "text/corpus_config.h"
#include "text/tokenizer_config.h"
#include "train/train_config.h"

namespace sluice::train {

struct RunConfig {
  RunSection run;
  text::CorpusConfig corpus;
  text::TokenizerConfig tokenizer;
  model::ModelConfig model;
  data::ObjectiveConfig objective;
  optim::OptimizerConfig optimizer;
  optim::ScheduleConfig schedule;
  TrainConfig train;
  EvaluateConfig evaluate;
  store::CheckpointConfig checkpoint;

  static constexpr auto fields() {
    using config::field;
    using C = RunConfig;
    return std::tuple{field<&C::run>("Name, place and seed."),
                      field<&C::corpus>("The text.", config::Affects::kText),
                      field<&C::tokenizer>("Text to tokens.", config::Affects::kTokenizer),
                      field<&C::model>("The network."),
                      field<&C::objective>("What it learns from the text.", config::Affects::kShared),
                      field<&C::optimizer>("How weights move."),
                      field<&C::schedule>("The learning rate over the steps."),
                      field<&C::train>("How long, how large, on what."),
                      field<&C::evaluate>("Perplexity on held-out text.", config::Affects::kCadence),
                      field<&C::checkpoint>("What is kept.", config::Affects::kCadence)};
  }
  static void check(const RunConfig& c, config::Problems& problems);
};

// Where schedule.total_steps, as a number, is below a number of steps: what would be right. The run would train on with a rate of 0.
struct ShortSchedule {
  std::int64_t total_steps = 0;
  std::string expected;
};
std::optional<ShortSchedule> find_short_schedule(const RunConfig& config, std::int64_t steps);

std::unique_ptr<const data::Objective> objective_of(const RunConfig& config);

// train.sequence_length with `auto` decided: what a window of the text holds.
std::int64_t sequence_length(const RunConfig& config);

}  // namespace sluice::train
