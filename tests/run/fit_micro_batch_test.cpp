#include "run/fit_micro_batch.h"

#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "run/trial.h"
#include "tests/run/failing_memory.h"
#include "tests/run/session_support.h"
#include "tests/train/train_support.h"
#include "train/execution.h"

namespace sluice::run {
namespace {

using Sizes = std::vector<std::int64_t>;

TEST(FitMicroBatch, CandidatesDivideTheBatchEvenly) {
  EXPECT_EQ(micro_batch_candidates(1), Sizes({1}));
  EXPECT_EQ(micro_batch_candidates(8), Sizes({8, 4, 3, 2, 1}));
  EXPECT_EQ(micro_batch_candidates(12), Sizes({12, 6, 4, 3, 2, 1}));
  for (std::int64_t batch = 1; batch < 70; ++batch) {
    std::set<std::int64_t, std::greater<>> all;
    for (std::int64_t k = 1; k <= batch; ++k) all.insert((batch + k - 1) / k);
    EXPECT_EQ(micro_batch_candidates(batch), Sizes(all.begin(), all.end())) << batch;
  }
}

TEST(FitMicroBatch, TriesFromTheExpectedSizeDownOrUp) {
  const Sizes candidates{32, 16, 11, 8, 4, 2, 1};
  Sizes tried;
  const auto find = [&](std::int64_t expected, std::int64_t fitting) {
    tried.clear();
    return largest_micro_batch(
        candidates,
        [=](std::int64_t n, double share) {
          return static_cast<double>(n) <= share * static_cast<double>(expected);
        },
        [&](std::int64_t n) {
          tried.push_back(n);
          return n <= fitting;
        });
  };
  EXPECT_EQ(find(16, 16), 16);
  EXPECT_EQ(tried, Sizes({16}));
  EXPECT_EQ(find(16, 9), 8);
  EXPECT_EQ(tried, Sizes({16, 11, 8}));
  EXPECT_EQ(find(9, 32), 11) << "within a quarter of the estimate";
  EXPECT_EQ(tried, Sizes({8, 11}));
  EXPECT_EQ(find(9, 8), 8);
  EXPECT_EQ(tried, Sizes({8, 11}));
  EXPECT_EQ(find(0, 32), 1) << "the smallest is tried, expected or not";
  EXPECT_EQ(find(0, 0), std::nullopt);
  EXPECT_EQ(tried, Sizes({1}));
}

// A card that fits `fitting` sequences, with a gibibyte.
class FakeCardTest : public ::testing::Test {
 protected:
  FakeCardTest() : config_(train::test::small_config()) {
    config_.model = train::test::small_decoder(64);
    config_.train.batch_sequences = 16;
    config_ = train::resolve(config_, {.vocab_size = 256, .windows_per_epoch = 1}).config;
    config_.train.device = std::string("cuda");
  }
  std::int64_t fit(Probe probe = Probe::kRun) {
    const Card card{.name = name_,
                    .memory = [&] { return memory_; },
                    .fits =
                        [&](const train::ResolvedRun& run) {
                          tried_.push_back(run.micro_batch_sequences);
                          return run.micro_batch_sequences <= fitting_;
                        },
                    .records = directory_ / "micro_batches"};
    tried_.clear();
    return fit_micro_batch(config_, 256, card, probe);
  }

  static constexpr std::uint64_t kTotal = std::uint64_t{1} << 30;
  sluice::testing::TemporaryDirectory directory_;
  train::RunConfig config_;
  std::string name_ = "NVIDIA X";
  ops::DeviceMemory memory_{.free_bytes = kTotal, .total_bytes = kTotal};
  std::int64_t fitting_ = 6;
  Sizes tried_;
};

TEST_F(FakeCardTest, ASecondSearchForTheSameRunsNothing) {
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_, Sizes({16, 8, 6}));
  config_.run.seed = 7;
  config_.train.steps = 1000;
  std::get<optim::AdamWConfig>(config_.optimizer).lr = 1e-2;
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(fit(Probe::kPredict), 6);
  EXPECT_EQ(tried_, Sizes({}));
}

TEST_F(FakeCardTest, OtherCardsModelsAndBatchesAreSearchedAgain) {
  fit();
  const auto is_searched = [&] {
    fit();
    return !tried_.empty();
  };
  EXPECT_FALSE(is_searched());
  name_ = "NVIDIA Y";
  EXPECT_TRUE(is_searched());
  memory_.total_bytes += 1;
  EXPECT_TRUE(is_searched());
  std::get<model::DecoderConfig>(config_.model).num_layers += 1;
  EXPECT_TRUE(is_searched());
  config_.train.batch_sequences = 15;
  EXPECT_TRUE(is_searched());
  config_.train.precision = train::Precision::kBf16;
  EXPECT_TRUE(is_searched());
  config_.optimizer = optim::AdafactorConfig{};
  EXPECT_TRUE(is_searched());
  EXPECT_FALSE(is_searched());
}

TEST_F(FakeCardTest, ADamagedRecordIsReplaced) {
  fit();
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "micro_batches"))
    real_files().write_atomically(entry.path(), "16\nanother key");
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_.size(), 3u);
  fit();
  EXPECT_EQ(tried_.size(), 0u);
  // No part of the batch.
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "micro_batches")) {
    const std::string text = read_file(entry.path());
    real_files().write_atomically(entry.path(), "7" + text.substr(text.find('\n')));
  }
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_.size(), 3u);
}

TEST_F(FakeCardTest, PredictionRunsNothingAndIsNotKept) {
  EXPECT_EQ(fit(Probe::kPredict), 16);
  EXPECT_EQ(tried_, Sizes({}));
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_.size(), 3u);
}

// A small card: the search begins with what is expected to fit there.
TEST_F(FakeCardTest, BeginsWithThePrediction) {
  config_.train.micro_batch_sequences = 4;
  const std::uint64_t four = estimated_bytes(train::read_resolved(config_), 256);
  memory_.free_bytes = four - 100;  // LibTorch of this process holds the rest
  memory_.reserved_bytes = 100;
  EXPECT_EQ(fit(Probe::kPredict), 4);
  fitting_ = 4;
  EXPECT_EQ(fit(), 4);
  EXPECT_EQ(tried_, Sizes({4, 6})) << "the estimate of 6 is within a quarter";
}

// Memory of other processes is a matter of the moment.
TEST_F(FakeCardTest, AResultBesideOtherProcessesIsNotKept) {
  config_.train.micro_batch_sequences = 8;
  memory_.total_bytes = std::uint64_t{1} << 40;
  memory_.free_bytes = estimated_bytes(train::read_resolved(config_), 256);
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_, Sizes({8, 6})) << "the first result was kept";
  memory_.free_bytes = memory_.total_bytes;
  fit();
  EXPECT_EQ(fit(), 6);
  EXPECT_EQ(tried_, Sizes({})) << "the result of the free card was not kept";
  memory_.free_bytes = 1000;
  fit();
  EXPECT_EQ(tried_, Sizes({1})) << "the record needs more than what is free";
}

TEST_F(FakeCardTest, FailsIfNothingFits) {
  fitting_ = 0;
  EXPECT_EQ(train::test::error_of(ExitCode::kIo, [&] { fit(); }),
            "train.micro_batch_sequences: received auto, and a micro-batch of 1 does not fit into "
            "GPU memory (1.0 GiB of 1.0 GiB free); expected a smaller model, shorter sequences, or "
            "a GPU with more memory");
}

TEST(MicroBatchRule, OnACpuIsThatOfTheCaches) {
  train::RunConfig config = train::test::small_config();
  config.train.batch_sequences = 1000;
  config.train.sequence_length = 256;
  EXPECT_EQ(micro_batch_rule(256, Probe::kRun)(config), train::choose_micro_batch(1000, 256));
}

TEST(MicroBatchRule, OnAGpuAsksTheCard) {
  if (train::has_device("cuda")) GTEST_SKIP() << "a GPU is available";
  train::RunConfig config = train::test::small_config();
  config.train.device = std::string("cuda");
  const std::string error =
      train::test::error_of(ExitCode::kUsage, [&] { micro_batch_rule(256, Probe::kRun)(config); });
  EXPECT_EQ(error.find("train.device: received cuda; expected cpu, because "), 0u) << error;
}

// The largest tensor of a step of n sequences are its logits, 32 rows of 320 padded columns in fp32
// for each sequence.
class TrialTest : public test::SessionTest {
 protected:
  train::ResolvedRun resolved(std::int64_t micro_batch) {
    train::RunConfig config = options().config;
    config.train.batch_sequences = 24;
    config.train.micro_batch_sequences = micro_batch;
    return train::resolve(config, {.vocab_size = 257, .windows_per_epoch = 1});
  }
  static constexpr std::size_t kBytesPerSequence = 32 * 320 * 4;
};

TEST_F(TrialTest, SaysWhatFitsWhenMemoryFails) {
  gpu::test::HostDevice device;
  const Place place{.gpu = &device};
  EXPECT_TRUE(fits(resolved(3), 257, place));
  const test::FailingMemory memory(12 * kBytesPerSequence + 1);
  EXPECT_TRUE(fits(resolved(12), 257, place));
  EXPECT_EQ(memory.num_failed(), 0);
  EXPECT_FALSE(fits(resolved(24), 257, place));
  EXPECT_EQ(memory.num_failed(), 1);
}

TEST_F(TrialTest, TriesTheRecordedStep) {
  class FullRecorder final : public ops::Recorder {
    void record(const std::function<void()>&) override { throw test::out_of_gpu_memory(64); }
    void replay() override {}
  };
  EXPECT_TRUE(fits(resolved(2), 257, {}));
  gpu::test::HostDevice device;
  EXPECT_FALSE(fits(resolved(2), 257, {.gpu = &device, .make_recorder = [] {
                                         return std::make_unique<FullRecorder>();
                                       }}));
}

TEST_F(TrialTest, OtherErrorsArePassedOn) {
  class BrokenDevice final : public gpu::Device {
    void launch(const gpu::Kernel&, const gpu::Grid&, std::span<const gpu::Argument>) override {
      throw std::runtime_error("broken");
    }
  } device;
  EXPECT_THROW(fits(resolved(2), 257, {.gpu = &device}), std::runtime_error);
}

TEST_F(TrialTest, ASearchDoesNotChangeTheRun) {
  SessionOptions a = options("a"), b = options("b");
  a.config.train.steps = b.config.train.steps = 4;
  run_training(a);
  gpu::test::HostDevice device;
  fits(resolved(2), 257, {.gpu = &device});
  run_training(b);
  expect_equal_runs("a", "b", 4);
}

}  // namespace
}  // namespace sluice::run
