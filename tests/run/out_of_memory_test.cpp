#include "run/out_of_memory.h"

#include <gtest/gtest.h>

#include "run/fit_micro_batch.h"
#include "run/plan.h"
#include "tests/run/failing_memory.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"

namespace sluice::run {
namespace {

using train::test::error_of;

// The largest tensor of a step of n sequences is the input of the activation, 64 · 256 · 4 bytes
// each.
class OutOfMemoryTest : public test::SessionTest {
 protected:
  SessionOptions options(const std::string& run, std::int64_t micro_batch) const {
    SessionOptions options = SessionTest::options(run);
    options.config.model = train::test::small_decoder(128);
    options.config.train.steps = 4;
    options.config.train.sequence_length = 64;
    options.config.train.batch_sequences = 8;
    options.config.train.micro_batch_sequences = micro_batch;
    return options;
  }
  std::string text_of_failure(const SessionOptions& options) const {
    const test::FailingMemory memory(4 * kBytesPerSequence + 1, kLargestOfARun);
    return error_of(ExitCode::kIo, [&] { run_training(options); });
  }
  // Compares everything that depends on the weights; the settings of the start differ.
  void expect_same_weights(const std::string& a, const std::string& b, std::int64_t step) const {
    for (const char* name : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(file(a, step, name) == file(b, step, name)) << name;
  }
  static constexpr std::size_t kBytesPerSequence = 64 * 256 * 4;
  // Products that measure the speed of the processor are larger.
  static constexpr std::size_t kLargestOfARun = 1 << 20;
};

TEST_F(OutOfMemoryTest, AStepThatDoesNotFitCanBeContinued) {
  SessionOptions large = options("large", 8);
  large.config.evaluate.every_steps = {};
  const std::string text = text_of_failure(large);
  EXPECT_EQ(text.find("train.micro_batch_sequences: received 8, out of GPU memory (asked for 512 "
                      "KiB)"),
            0u)
      << text;
  EXPECT_NE(text.find("; expected at most 4; what is saved is intact, continue with `sluice train "
                      "--resume "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("large --set train.micro_batch_sequences=4`"), std::string::npos) << text;

  large.config.train.micro_batch_sequences = 4;
  run_training(large);
  SessionOptions small = options("small", 4);
  small.config.evaluate.every_steps = {};
  run_training(small);
  expect_same_weights("large", "small", 4);
}

TEST_F(OutOfMemoryTest, AnEvaluationThatDoesNotFitCanBeContinued) {
  SessionOptions large = options("large", 8);
  large.config.evaluate.every_steps = 2;
  EXPECT_NE(text_of_failure(large).find("expected at most 4; what is saved"), std::string::npos);
  large.config.train.micro_batch_sequences = 4;
  run_training(large);
  SessionOptions small = options("small", 4);
  small.config.evaluate.every_steps = 2;
  run_training(small);
  expect_same_weights("large", "small", 4);
}

TEST_F(OutOfMemoryTest, WeightsThatDoNotFitLeaveNoRun) {
  const test::FailingMemory memory(64 * 1024);
  const std::string text = error_of(ExitCode::kIo, [&] { run_training(options("none", 8)); });
  EXPECT_EQ(text.find("train.micro_batch_sequences: received 8, out of GPU memory (asked for"), 0u)
      << text;
  EXPECT_EQ(text.find("--resume"), std::string::npos) << text;
  EXPECT_FALSE(std::filesystem::exists(directory_ / "none"));
}

TEST_F(OutOfMemoryTest, MeasuringReportsIt) {
  const Plan plan = make_plan(options("plan", 8).config);
  const test::FailingMemory memory(4 * kBytesPerSequence + 1);
  const std::string text = error_of(ExitCode::kIo, [&] { measure_steps(plan, 1); });
  EXPECT_EQ(text.find("train.micro_batch_sequences: received 8, out of GPU memory (asked for"), 0u)
      << text;
  EXPECT_EQ(text.substr(text.size() - 18), "expected at most 4") << text;
}

// With the memory of a card.
TEST_F(OutOfMemoryTest, StatesFreeMemoryAndWhatFits) {
  train::RunConfig config = options("run", 8).config;
  config = train::resolve(config, {.vocab_size = 257, .windows_per_epoch = 1}).config;
  config.train.device = std::string("cuda");
  const train::ResolvedRun run = train::read_resolved(config);
  const std::uint64_t three = estimated_bytes(with_micro_batch(run, 3), 257);
  ops::DeviceMemory memory{.free_bytes = 1 << 20,
                           .total_bytes = std::uint64_t{80} << 30,
                           .reserved_bytes = three - (1 << 20)};
  const auto text = [&](const std::exception& error) {
    return error_of(ExitCode::kIo, [&] {
      fail_if_out_of_memory(error,
                            {.run = run, .vocab_size = 257, .memory = [&] { return memory; }});
    });
  };
  EXPECT_EQ(text(test::out_of_gpu_memory(3 << 20)),
            "train.micro_batch_sequences: received 8, out of GPU memory (asked for 3.0 MiB, 1.0 "
            "MiB of 80.0 GiB free); expected at most 3");
  EXPECT_EQ(text(std::runtime_error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")),
            "train.micro_batch_sequences: received 8, out of GPU memory (1.0 MiB of 80.0 GiB "
            "free); expected at most 3");
  memory.reserved_bytes = 0;
  EXPECT_EQ(text(test::out_of_gpu_memory(3 << 20)),
            "model: out of GPU memory (asked for 3.0 MiB, 1.0 MiB of 80.0 GiB free); use a "
            "smaller model, shorter sequences, or more memory");
  fail_if_out_of_memory(std::runtime_error("another error"), {.run = run});  // returns
}

TEST_F(OutOfMemoryTest, ACpuIsTreatedTheSame) {
  const train::ResolvedRun run =
      train::resolve(options("run", 8).config, {.vocab_size = 257, .windows_per_epoch = 1});
  const std::string text = error_of(ExitCode::kIo, [&] {
    fail_if_out_of_memory(
        std::runtime_error("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: "
                           "can't allocate memory: you tried to allocate 4398046511104 bytes."),
        {.run = run, .vocab_size = 257});
  });
  EXPECT_EQ(text.find("train.micro_batch_sequences: received 8, out of memory (asked for 4.0 TiB, "
                      "the machine has "),
            0u)
      << text;
  EXPECT_NE(text.find("; expected at most 4"), std::string::npos) << text;
}

TEST(DescribeOutOfMemory, StatesWhatIsKnown) {
  EXPECT_EQ(describe({.on_gpu = true}), "out of GPU memory");
  EXPECT_EQ(describe({.on_gpu = true, .asked_bytes = 2048}),
            "out of GPU memory (asked for 2.0 KiB)");
  EXPECT_EQ(describe({.asked_bytes = 2048}).find("out of memory (asked for 2.0 KiB, the machine"),
            0u);
}

}  // namespace
}  // namespace sluice::run
