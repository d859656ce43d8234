// The root of the YAML configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cluster/distributed_config.h"
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
  cluster::DistributedConfig distributed;

  static constexpr auto fields() {
    using config::field;
    using C = RunConfig;
    return std::tuple{
        field<&C::run>("Name, directory and seed."),
        field<&C::corpus>("Training and held-out text.", config::Affects::kText),
        field<&C::tokenizer>("Tokenizer.", config::Affects::kTokenizer),
        field<&C::model>("Model architecture."),
        field<&C::objective>("Training objective.", config::Affects::kShared),
        field<&C::optimizer>("Optimizer."),
        field<&C::schedule>("Learning rate schedule."),
        field<&C::train>("Training length, batch size, precision, device."),
        field<&C::evaluate>("Held-out evaluation.", config::Affects::kCadence),
        field<&C::checkpoint>("Checkpoint interval and retention.", config::Affects::kCadence),
        field<&C::distributed>("Training by several processes.", config::Affects::kCadence)};
  }
  static void check(const RunConfig& c, config::Problems& problems);
};

// A schedule.total_steps below the steps of the run, which would continue with a rate of 0.
struct ShortSchedule {
  std::int64_t total_steps = 0;
  std::string expected;
};
// None unless schedule.total_steps is a number below `steps`.
std::optional<ShortSchedule> find_short_schedule(const RunConfig& config, std::int64_t steps);

std::unique_ptr<const data::Objective> objective_of(const RunConfig& config);

// train.sequence_length with `auto` resolved: tokens of text per sequence.
std::int64_t sequence_length(const RunConfig& config);

}  // namespace sluice::train

extern template const sluice::config::Section& sluice::config::describe<sluice::train::RunConfig>();
