#include "run/plan.h"

#include <gtest/gtest.h>

#include "base/text_format.h"
#include "config/config.h"
#include "tests/train/operation_recorder.h"
#include "tests/train/train_support.h"

namespace sluice::run {
namespace {

using train::RunConfig;

// Settings that add operations to a step also add them to measured steps: z-loss and reductions by
// the reference forms.
TEST(MeasureSteps, RunsTheOperationsOfTheRun) {
  const auto operations = [](double z_loss, ops::Reductions reductions) {
    RunConfig config = train::test::small_config();
    config.model = train::test::small_decoder(48);
    config.train.precision = train::Precision::kBf16;
    config.train.z_loss = z_loss;
    config.train.reductions = reductions;
    const Plan plan = make_plan(config);
    const train::test::OperationRecorder recorder;
    EXPECT_GT(measure_steps(plan, 1).seconds_per_step, 0);
    return recorder.seen();
  };
  const auto plain = operations(0, ops::Reductions::kFp32);
  EXPECT_GT(plain.size(), 50u) << "the recorder saw nothing";
  EXPECT_EQ(operations(0, ops::Reductions::kFp32), plain);
  EXPECT_NE(operations(1e-4, ops::Reductions::kFp32), plain) << "z-loss is ignored";
  EXPECT_NE(operations(0, ops::Reductions::kCompute), plain) << "reductions are in fp32";
}

TEST(Plan, RejectsAScheduleShorterThanTheRun) {
  RunConfig config = train::test::small_config();  // 4 sequences of 8 per step
  config.train.steps.reset();
  config.train.tokens = 320;
  config.schedule = optim::T5Schedule{.total_steps = std::int64_t{9}};
  EXPECT_EQ(train::test::error_of(ExitCode::kUsage, [&] { make_plan(config); }),
            "schedule.total_steps: received 9; expected auto, or at least train.steps 10");
  config.schedule = optim::T5Schedule{.total_steps = std::int64_t{10}};
  EXPECT_EQ(make_plan(config).total_steps, 10);
}

// Every file of configs/paper but compare.yaml, without text and tokenizer.
TEST(Plan, ThePaperConfigurationsHaveTheSameSize) {
  const std::string folder = cat(SLUICE_SOURCE_DIR, "/configs/paper/");
  for (const char* name :
       {"relu", "gelu", "swish", "glu", "bilinear", "reglu", "geglu", "swiglu", "geglu_adamw"}) {
    const auto config = config::load<RunConfig>(
        {.file = cat(folder, "t5_base_", name, ".yaml"), .overrides = {"train.device=cpu"}});
    const Plan plan = make_plan(config);
    EXPECT_EQ(plan.sizes.num_parameters, 222'903'552) << name;
    EXPECT_EQ(plan.sizes.d_ff_mismatch, 0) << name;
    EXPECT_EQ(plan.total_steps, 65536) << name;
  }
}

// nanoT5's settings: github.com/PiotrNawrot/nanoT5, nanoT5/configs/default.yaml and AdamWScale in
// nanoT5/utils/copied_utils.py.
TEST(Plan, TheAlternativeToAdafactorMatchesNanoT5) {
  const std::string folder = cat(SLUICE_SOURCE_DIR, "/configs/paper/");
  const auto paper =
      config::load<RunConfig>({.file = cat(folder, "t5_base_geglu.yaml"), .overrides = {}});
  const auto other =
      config::load<RunConfig>({.file = cat(folder, "t5_base_geglu_adamw.yaml"), .overrides = {}});
  for (const auto& change : config::changes(paper, other)) {
    const std::string_view section = std::string_view(change.path).substr(0, change.path.find('.'));
    EXPECT_TRUE(section == "run" || section == "optimizer" || section == "schedule") << change.path;
  }
  const auto& optimizer = std::get<optim::AdamWConfig>(other.optimizer);
  EXPECT_TRUE(optimizer.scale_by_rms);
  EXPECT_EQ(optimizer.lr, 2e-2);
  EXPECT_EQ(optimizer.betas, (std::array<double, 2>{0.9, 0.999}));
  EXPECT_EQ(optimizer.eps, 1e-6);
  EXPECT_EQ(optimizer.weight_decay, 0);
  EXPECT_EQ(optimizer.clip_norm, 1);
  EXPECT_EQ(std::get<optim::CosineSchedule>(other.schedule).warmup_steps, 10000);
  const auto rate = [&](std::int64_t step) {
    return optimizer.lr * optim::schedule_factor(other.schedule, step, 65536);
  };
  EXPECT_DOUBLE_EQ(rate(10000), 2e-2);
  EXPECT_NEAR(rate(65535), 1e-5, 1e-9);
}

}  // namespace
}  // namespace sluice::run
