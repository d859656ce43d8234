#include "train/resolve.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/machine.h"
#include "base/threads.h"
#include "config/config.h"
#include "ops/cuda.h"
#include "tests/train/train_support.h"
#include "train/execution.h"

namespace sluice::train {
namespace {

using test::small_config;

const DataFacts kFacts{.vocab_size = 257, .windows_per_epoch = 250};

RunConfig all_auto() {
  RunConfig config = small_config();
  config.train.micro_batch_sequences = {};
  config.train.precision = {};
  config.train.device = {};
  config.train.threads = {};
  model::DecoderConfig model;
  model.d_model = 48;
  model.num_heads = 4;
  model.position = nn::LearnedConfig{};
  config.model = model;
  return config;
}

TEST(Resolve, ResolvesEveryAuto) {
  const RunConfig config = resolve(all_auto(), kFacts).config;
  const auto& model = std::get<model::DecoderConfig>(config.model);
  EXPECT_EQ(*model.vocab_size, 257);
  EXPECT_EQ(*model.num_kv_heads, 4);
  EXPECT_EQ(*model.head_dim, 12);
  EXPECT_EQ(*model.d_ff_reference, 192);
  EXPECT_EQ(*model.d_ff, 128);  // 8/3 of 48: the gated equivalent of 4 · 48
  EXPECT_EQ(*std::get<nn::LearnedConfig>(model.position).max_length, *config.train.sequence_length);
  EXPECT_EQ(*config.train.threads, auto_threads());
  EXPECT_EQ(*config.train.device, ops::gpu_support(c10::kCUDA).usable() ? "cuda" : "cpu");
  EXPECT_EQ(*config.train.precision,
            ops::gpu_support(c10::kCUDA).usable() || machine().has_fast_bf16() ? Precision::kBf16
                                                                               : Precision::kFp32);
  EXPECT_FALSE(config.train.micro_batch_sequences.is_word());
}

TEST(Resolve, ResolvingTwiceChangesNothing) {
  const RunConfig once = resolve(all_auto(), kFacts).config;
  EXPECT_TRUE(config::changes(once, resolve(once, kFacts).config).empty());
}

TEST(Resolve, LengthsBecomeWholeSteps) {
  RunConfig config = small_config();  // 4 sequences of 8 per step
  config.train.steps.reset();
  config.train.tokens = 320;
  EXPECT_EQ(resolve(config, kFacts).steps, 10);
  config.train.tokens = 321;
  EXPECT_EQ(resolve(config, kFacts).steps, 11);
  config.train.tokens = 1;
  EXPECT_EQ(resolve(config, kFacts).steps, 1);
  config.train.tokens.reset();
  config.train.epochs = 2;
  const RunConfig epochs_before = config;
  EXPECT_EQ(resolve(config, kFacts).steps, 125);
  config.train.epochs = 1.1;  // in double arithmetic 1.1 * 3120 is above 3432
  config.train.batch_sequences = 1;
  config.train.micro_batch_sequences = 1;
  EXPECT_EQ(resolve(config, {.vocab_size = 257, .windows_per_epoch = 3120}).steps, 3432);
  config = epochs_before;
  config.train.epochs = 0.5;
  EXPECT_EQ(resolve(config, kFacts).steps, 32);  // 31.25, rounded up
  EXPECT_FALSE(resolve(config, kFacts).config.train.epochs.has_value());
  config.train.epochs = 1e300;
  EXPECT_NE(test::error_of(ExitCode::kUsage, [&] { resolve(config, kFacts); }).find("train.epochs"),
            std::string::npos);
}

// Not checked earlier, because the steps follow from tokens or epochs.
TEST(Resolve, AScheduleMustReachTheLastStep) {
  RunConfig config = small_config();  // 4 sequences of 8 per step
  const auto resolved = [&](std::int64_t schedule_steps) {
    config.schedule = optim::T5Schedule{.total_steps = schedule_steps};
    return resolve(config, kFacts).steps;
  };
  config.train.steps.reset();
  config.train.tokens = 320;
  EXPECT_EQ(resolved(10), 10);
  EXPECT_EQ(test::error_of(ExitCode::kUsage, [&] { resolved(9); }),
            "schedule.total_steps: received 9; expected auto, or at least train.steps 10");
  config.train.tokens.reset();
  config.train.epochs = 2;  // of 250 windows
  EXPECT_EQ(resolved(125), 125);
  EXPECT_EQ(test::error_of(ExitCode::kUsage, [&] { resolved(124); }),
            "schedule.total_steps: received 124; expected auto, or at least train.steps 125");
}

TEST(Resolve, AutoUsesTheValuesOfTheResumedRun) {
  RunConfig stored = resolve(all_auto(), kFacts).config;
  stored.train.micro_batch_sequences = std::int64_t{3};
  stored.train.threads = std::int64_t{5};
  stored.train.precision = Precision::kBf16;
  std::get<model::DecoderConfig>(stored.model).d_ff = std::int64_t{129};
  const RunConfig again = resolve(all_auto(), kFacts, &stored).config;
  EXPECT_TRUE(config::changes(stored, again).empty());
  RunConfig given = all_auto();
  given.train.threads = std::int64_t{2};
  EXPECT_EQ(resolve(given, kFacts, &stored).threads, 2);  // an explicit value takes precedence
}

// Checkpoints contain resolved configurations only.
TEST(Resolve, ReadResolvedRejectsAuto) {
  const RunConfig written = resolve(all_auto(), kFacts).config;
  const ResolvedRun read = read_resolved(written);
  EXPECT_EQ(read.steps, *written.train.steps);
  EXPECT_EQ(read.micro_batch_sequences, *written.train.micro_batch_sequences);
  EXPECT_EQ(read.evaluate_every_steps, 10);
  EXPECT_EQ(read.evaluation_tokens, 0u);
  test::error_of(ExitCode::kBadData, [] { read_resolved(all_auto()); });
  RunConfig never = written;
  never.evaluate.every_steps = {};
  never.evaluate.max_tokens = std::int64_t{500};
  EXPECT_EQ(read_resolved(never).evaluate_every_steps, 0);
  EXPECT_EQ(read_resolved(never).evaluation_tokens, 500u);
}

TEST(Resolve, MicroBatchesHaveBoundedAndBalancedSizes) {
  EXPECT_EQ(choose_micro_batch(16, 256), 16);
  EXPECT_EQ(choose_micro_batch(17, 256), 9);  // 9 and 8 rather than 16 and 1
  EXPECT_EQ(choose_micro_batch(64, 256), 16);
  EXPECT_EQ(choose_micro_batch(4, 100000), 1);
  EXPECT_EQ(choose_micro_batch(1, 2), 1);
  for (std::int64_t batch = 1; batch < 100; ++batch)
    for (const std::int64_t length : {2, 100, 256, 1000, 5000}) {
      const std::int64_t size = choose_micro_batch(batch, length);
      EXPECT_GE(size, 1);
      EXPECT_LE(size, batch);
      EXPECT_TRUE(size == 1 || size * length <= 4096);
    }
}

TEST(Resolve, OnlyAGpuCanBeNotRepeatable) {
  RunConfig config = small_config();
  config.train.device = std::string("cpu");
  config.train.deterministic = false;
  ResolvedRun run = resolve(config, kFacts);
  EXPECT_TRUE(run.is_repeatable());
  run.device = "cuda:0";
  EXPECT_FALSE(run.is_repeatable());
  run.config.train.deterministic = true;
  EXPECT_TRUE(run.is_repeatable());
}

// What `auto` chooses, and what it says on stderr.
std::pair<std::string, std::string> chosen(const gpu::Support& gpu) {
  ::testing::internal::CaptureStderr();
  const std::string device = choose_device(gpu);
  return {device, ::testing::internal::GetCapturedStderr()};
}

TEST(Resolve, AutoTellsWhyItDoesNotUseAGpu) {
  using Choice = std::pair<std::string, std::string>;
  EXPECT_EQ(chosen({.visible = true}), (Choice{"cuda", ""}));
  EXPECT_EQ(chosen({.obstacle = "no GPU is visible"}), (Choice{"cpu", ""}));
  const gpu::Support old{.visible = true, .obstacle = "the test card is too old"};
  const auto [device, message] = chosen(old);
  EXPECT_EQ(device, "cpu");
  EXPECT_NE(message.find("using the CPU, because the test card is too old"), std::string::npos);
  EXPECT_EQ(chosen(old), (Choice{"cpu", ""}));  // told once
}

TEST(Resolve, RejectsAnUnavailableDevice) {
  EXPECT_TRUE(has_device("cpu"));
  EXPECT_FALSE(has_device("cuda:63"));
  const std::string message = test::error_of(ExitCode::kUsage, [] { device_of("cuda:63"); });
  EXPECT_EQ(message.find("train.device: received cuda:63; expected cpu, because "), 0u) << message;
  EXPECT_EQ(device_or_cpu("cuda:63"), at::kCPU);
  RunConfig config = small_config();
  config.train.device = std::string("cuda:63");
  test::error_of(ExitCode::kUsage, [&] { resolve(config, kFacts); });
}

}  // namespace
}  // namespace sluice::train
