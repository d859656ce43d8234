#include "train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "data/causal_batches.h"
#include "tests/train/train_support.h"
#include "train/divergence.h"

namespace sluice::train {
namespace {

using test::small_config;
using test::SmallRun;

class Train : public ::testing::Test {
 protected:
  void TearDown() override { clear_stop(); }
  sluice::testing::TemporaryDirectory directory_;
};

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "tensor " << i;
}

void expect_equal_runs(const SmallRun& a, const SmallRun& b) {
  EXPECT_TRUE(at::equal(a.weights(), b.weights()));
  expect_equal(a.optimizer_state(), b.optimizer_state());
  EXPECT_EQ(a.metrics(), b.metrics());
}

// Multiplies the loss by `factor` if the inputs begin with window 0 of one of the data steps.
test::Disturbance spoil(std::vector<std::uint64_t> data_steps, double factor) {
  const RunConfig config = small_config();
  auto stream = std::make_shared<data::TokenStream>(test::learnable_ids(2000, 257));
  auto batches = std::make_shared<data::CausalBatches>(
      *stream, data::CausalBatches::Settings{.seed = config.run.seed,
                                             .batch_sequences = config.train.batch_sequences,
                                             .sequence_length = *config.train.sequence_length});
  return [stream, batches, data_steps, factor](const at::Tensor& inputs_BT) {
    const std::int64_t* row = inputs_BT.const_data_ptr<std::int64_t>();
    for (const std::uint64_t data_step : data_steps) {
      const data::Batch batch = batches->batch(data_step);
      if (std::equal(batch.inputs.begin(), batch.inputs.begin() + batch.input_length, row))
        return factor;
    }
    return 1.0;
  };
}

TEST_F(Train, LearnsAndReachesTheEnd) {
  SmallRun run(directory_ / "run", small_config());
  const Progress progress = run.go();
  EXPECT_EQ(progress.step, 40);
  EXPECT_EQ(progress.data_step, 40u);
  EXPECT_EQ(progress.tokens, 40u * 32);
  EXPECT_EQ(progress.num_events, 0);
}

// Stops before and after saves and divergence checks, several times.
TEST_F(Train, ResumingEqualsAnUninterruptedRun) {
  SmallRun unbroken(directory_ / "unbroken", small_config());
  unbroken.go();
  int number = 0;
  for (const std::vector<std::int64_t>& stops : {std::vector<std::int64_t>{1},
                                                 {9},
                                                 {10},
                                                 {11},
                                                 {16},
                                                 {39},
                                                 {3, 7, 8},
                                                 {9, 10, 11, 12},
                                                 {2, 4, 6, 8, 10, 12, 14, 16, 18, 20}}) {
    const auto directory = directory_ / ("broken-" + std::to_string(number++));
    for (const std::int64_t stop : stops)
      EXPECT_EQ(SmallRun(directory, small_config()).go(stop).step, stop);
    SmallRun last(directory, small_config());
    EXPECT_EQ(last.go().step, 40);
    expect_equal_runs(last, unbroken);
  }
}

TEST_F(Train, ResumingIsExactWithEveryOptimizerAndSchedule) {
  struct Recipe {
    const char* name;
    optim::OptimizerConfig optimizer;
    optim::ScheduleConfig schedule;
  };
  for (const Recipe& recipe :
       {Recipe{"factored", optim::AdafactorConfig{.factored_min_dim = 6},
               optim::T5Schedule{.constant_steps = 20, .decay_fraction = 0.5}},
        Recipe{"full", optim::AdafactorConfig{.lr = 0.3}, optim::ConstantSchedule{}},
        Recipe{"scaled", optim::AdamWConfig{.lr = 0.02, .scale_by_rms = true},
               optim::CosineSchedule{.warmup_steps = 4}},
        Recipe{"muon", optim::MuonConfig{}, optim::CosineSchedule{.warmup_steps = 4}}}) {
    RunConfig config = small_config();
    config.optimizer = recipe.optimizer;
    config.schedule = recipe.schedule;
    SmallRun unbroken(directory_ / recipe.name / "unbroken", config);
    unbroken.go();
    const auto directory = directory_ / recipe.name / "broken";
    for (const std::int64_t stop : {7, 10, 31})
      EXPECT_EQ(SmallRun(directory, config).go(stop).step, stop);
    SmallRun last(directory, config);
    EXPECT_EQ(last.go().step, 40);
    expect_equal_runs(last, unbroken);
  }
}

// Invariant 3: evaluation and checkpoint intervals do not affect the weights.
TEST_F(Train, EvaluationAndSavingNeverChangeTheRun) {
  SmallRun usual(directory_ / "usual", small_config());
  usual.go();
  RunConfig other = small_config();
  other.checkpoint = {.every_steps = 3, .keep_last = 1, .keep_best = false};
  other.evaluate.every_steps = std::int64_t{1};
  SmallRun watched(directory_ / "watched", other);
  watched.go();
  other.evaluate.every_steps = {};
  other.checkpoint.every_steps = 1000;
  SmallRun alone(directory_ / "alone", other);
  alone.go();
  for (const SmallRun* run : {&watched, &alone}) {
    EXPECT_TRUE(at::equal(run->weights(), usual.weights()));
    expect_equal(run->optimizer_state(), usual.optimizer_state());
  }
  EXPECT_NE(watched.metrics().size(), alone.metrics().size());
}

// The spike limits depend on the steps, not on when checkpoints are saved.
TEST_F(Train, CheckpointIntervalsDoNotAffectTheSpikeLimits) {
  RunConfig config = small_config();
  config.train.divergence = {
      .policy = DivergencePolicy::kSkip, .spike_factor = 1.02, .max_events = 1000};
  SmallRun usual(directory_ / "usual", config);
  const Progress progress = usual.go();
  EXPECT_GT(progress.num_events, 0) << "the limits were never exceeded";
  config.checkpoint.every_steps = 3;
  SmallRun other(directory_ / "other", config);
  other.go();
  EXPECT_TRUE(at::equal(other.weights(), usual.weights()));
}

TEST_F(Train, CallbacksRunAtTheirStepsAndAtTheEnd) {
  SmallRun run(directory_ / "run", small_config());
  run.go();
  std::vector<std::int64_t> evaluated;
  std::int64_t next = 1;
  for (const std::string& line : run.metrics()) {
    if (line.find("\"eval\"") != std::string::npos) {
      evaluated.push_back(next - 1);
      continue;
    }
    EXPECT_NE(line.find("{\"step\":" + std::to_string(next++) + ","), std::string::npos) << line;
  }
  EXPECT_EQ(next, 41);
  EXPECT_EQ(evaluated, (std::vector<std::int64_t>{0, 10, 20, 30, 40}));
  for (const std::int64_t step : {30, 40}) {
    const auto steps = run.checkpoints();
    EXPECT_NE(std::find(steps.begin(), steps.end(), step), steps.end()) << step;
  }
}

class BadBatches : public Train, public ::testing::WithParamInterface<double> {};

TEST_P(BadBatches, HaltStopsWithinAFewStepsAndSavesNoBadWeights) {
  SmallRun run(directory_ / "run", small_config(), spoil({13}, GetParam()));
  const std::string message = test::error_of(ExitCode::kDiverged, [&] { run.go(); });
  // data step 13 is the 14th step
  EXPECT_NE(message.find("step 14"), std::string::npos) << message;
  EXPECT_NE(message.find("halt"), std::string::npos) << message;
  EXPECT_TRUE(at::isfinite(run.weights()).all().item<bool>());
  EXPECT_EQ(run.checkpoints().back(), 10);
  EXPECT_LE(run.metrics().size(), 20u + 2) << "stops at the next divergence check";
}

TEST_P(BadBatches, SkipContinuesAndCounts) {
  RunConfig config = small_config();
  config.train.divergence.policy = DivergencePolicy::kSkip;
  SmallRun run(directory_ / "run", config, spoil({13, 20}, GetParam()));
  const Progress progress = run.go();
  EXPECT_EQ(progress.step, 40);
  EXPECT_EQ(progress.data_step, 40u);
  EXPECT_EQ(progress.num_events, 2);
  EXPECT_TRUE(at::isfinite(run.weights()).all().item<bool>());
  EXPECT_EQ(run.optimizer().state().back().tensor.item<double>(), 38);  // num_updates
}

TEST_P(BadBatches, SkipHaltsAfterTooManyEvents) {
  RunConfig config = small_config();
  config.train.divergence = {.policy = DivergencePolicy::kSkip, .max_events = 2};
  SmallRun run(directory_ / "run", config, spoil({3, 13, 20}, GetParam()));
  const std::string message = test::error_of(ExitCode::kDiverged, [&] { run.go(); });
  EXPECT_NE(message.find("max_events"), std::string::npos) << message;
}

TEST_P(BadBatches, RollbackRestoresAndSkipsTheData) {
  RunConfig config = small_config();
  config.train.divergence.policy = DivergencePolicy::kRollback;
  SmallRun run(directory_ / "run", config, spoil({13}, GetParam()));
  const Progress progress = run.go();
  EXPECT_EQ(progress.step, 40);
  EXPECT_EQ(progress.num_events, 1);
  EXPECT_EQ(progress.data_step, 46u);  // checked at step 16, back to 10: skips six batches
  EXPECT_EQ(run.optimizer().state().back().tensor.item<double>(), 40);
  EXPECT_TRUE(at::isfinite(run.weights()).all().item<bool>());
  std::int64_t next = 1;
  for (const std::string& line : run.metrics())
    if (line.find("\"loss\"") != std::string::npos) {
      EXPECT_NE(line.find("{\"step\":" + std::to_string(next++) + ","), std::string::npos) << line;
      EXPECT_EQ(line.find("null"), std::string::npos) << line;
    }
  EXPECT_EQ(next, 41);
}

// The last step has no next batch.
TEST_P(BadBatches, RollbackOfTheLastStepSkipsItsData) {
  RunConfig config = small_config();
  config.train.divergence.policy = DivergencePolicy::kRollback;
  const Progress progress = SmallRun(directory_ / "run", config, spoil({39}, GetParam())).go();
  EXPECT_EQ(progress.num_events, 1) << "the batch was used again";
  EXPECT_EQ(progress.data_step, 50u);
}

// The result does not depend on where the run is interrupted.
TEST_P(BadBatches, ResumingEqualsAnUninterruptedRun) {
  for (const DivergencePolicy policy : {DivergencePolicy::kSkip, DivergencePolicy::kRollback}) {
    RunConfig config = small_config();
    config.train.divergence.policy = policy;
    const auto name = [&](const std::string& rest) {
      return directory_ / ((policy == DivergencePolicy::kSkip ? "skip-" : "rollback-") + rest);
    };
    const test::Disturbance disturbance = spoil({13, 27}, GetParam());
    SmallRun unbroken(name("unbroken"), config, disturbance);
    unbroken.go();
    for (const std::int64_t stop : {10, 13, 14, 15, 16, 28}) {
      SmallRun(name(std::to_string(stop)), config, disturbance).go(stop);
      SmallRun last(name(std::to_string(stop)), config, disturbance);
      last.go();
      SCOPED_TRACE("stopped after " + std::to_string(stop));
      expect_equal_runs(last, unbroken);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Factors, BadBatches, ::testing::Values(std::nan(""), HUGE_VAL));

TEST_F(Train, ASpikeCountsOnlyAgainstALimit) {
  RunConfig config = small_config();
  config.train.divergence.policy = DivergencePolicy::kSkip;
  EXPECT_EQ(SmallRun(directory_ / "free", config, spoil({25}, 100)).go().num_events, 0);
  config.train.divergence.spike_factor = 20;
  SmallRun limited(directory_ / "limited", config, spoil({25}, 100));
  EXPECT_EQ(limited.go().num_events, 1);
  // Early steps have no limit.
  EXPECT_EQ(SmallRun(directory_ / "early", config, spoil({5}, 100)).go().num_events, 0);
}

TEST_F(Train, AHaltedRunContinuesUnderAnotherPolicy) {
  const test::Disturbance disturbance = spoil({13}, std::nan(""));
  RunConfig config = small_config();
  test::error_of(ExitCode::kDiverged,
                 [&] { SmallRun(directory_ / "run", config, disturbance).go(); });
  test::error_of(ExitCode::kDiverged,
                 [&] { SmallRun(directory_ / "run", config, disturbance).go(); });
  config.train.divergence.policy = DivergencePolicy::kSkip;
  SmallRun skipping(directory_ / "run", config, disturbance);
  EXPECT_EQ(skipping.go().num_events, 1);
}

TEST_F(Train, ResumingAFinishedRunChangesNothing) {
  SmallRun(directory_ / "run", small_config()).go();
  SmallRun again(directory_ / "run", small_config());
  EXPECT_EQ(again.go().step, 40);
  const auto lines = again.metrics();
  EXPECT_EQ(SmallRun(directory_ / "run", small_config()).go().step, 40);
  EXPECT_EQ(again.metrics(), lines);
}

TEST(StepConfigOf, UsesTheConfigurationOfTheRun) {
  RunConfig config = small_config();
  config.run.seed = 7;
  config.train.z_loss = 1e-4;
  config.train.reductions = ops::Reductions::kCompute;
  const StepConfig step = step_config_of(config, at::kCPU);
  EXPECT_EQ(step.seed, 7u);
  EXPECT_EQ(step.z_loss, 1e-4);
  EXPECT_EQ(step.reductions, ops::Reductions::kCompute);
  EXPECT_EQ(step.device, at::Device(at::kCPU));
  EXPECT_EQ(step_config_of(small_config(), at::kCPU).reductions, ops::Reductions::kFp32);
}

// While a device computes a step, the host builds the next batch, before it reads any value.
TEST_F(Train, TheNextBatchIsBuiltBeforeAStepIsObserved) {
  RunConfig config = small_config();
  config.train.steps = 3;
  SmallRun run(directory_ / "run", config);
  std::string order;
  run.on_batch = [&](std::uint64_t step) { order += cat("batch ", step, ", "); };
  run.on_event = [&](std::int64_t step) { order += cat("step ", step, ", "); };
  run.go();
  EXPECT_EQ(order, "batch 0, batch 1, step 1, batch 2, step 2, step 3, ");
}

}  // namespace
}  // namespace sluice::train
