// Steps on a GPU, with its kernels on the host.
#include "train/step_runner.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "eval/feed.h"
#include "ops/cudnn_attention.h"
#include "store/checkpoint_store.h"
#include "tests/base/temporary_directory.h"
#include "tests/gpu/nvrtc_support.h"
#include "tests/ops/fake_cudnn.h"
#include "tests/train/operation_recorder.h"
#include "tests/train/step_batches.h"
#include "tests/train/train_support.h"
#include "train/checkpoint.h"

namespace sluice::train {
namespace {

using test::random_batch, test::small_model;

// In place of a CUDA graph: repeats the work itself.
class RepeatingRecorder final : public ops::Recorder {
 public:
  explicit RepeatingRecorder(int& num_records) : num_records_(num_records) {}
  void record(const std::function<void()>& work) override {
    work_ = work;
    ++num_records_;
  }
  void replay() override { work_(); }

 private:
  int& num_records_;
  std::function<void()> work_;
};

struct Options {
  double dropout = 0;
  at::ScalarType compute = at::kFloat;
  gpu::Device* gpu = nullptr;
  bool recorded = false;
  StepRunner::MakeRecorder make_recorder = {};
};

struct Result {
  std::vector<double> losses, norms;
  at::Tensor weights;
  int num_records = 0;
};

// The number of targets differs between steps.
std::vector<data::Batch> batches_of(std::uint64_t step, std::int64_t sequences = 2) {
  std::vector<data::Batch> batches{random_batch(sequences, 2 * step),
                                   random_batch(sequences, 2 * step + 1)};
  std::vector<std::int64_t> kept(static_cast<std::size_t>(sequences), test::kStepLength);
  kept[0] -= static_cast<std::int64_t>(step % 3);
  test::ignore_targets(batches[0], kept);
  return batches;
}

Result train(const Options& options, std::uint64_t num_steps,
             const std::function<std::int64_t(std::uint64_t)>& sequences = {}) {
  const auto model = small_model(options.dropout, options.compute);
  const auto optimizer =
      optim::make_optimizer(optim::AdamWConfig{}, model->parameters(), options.gpu);
  Result result;
  StepRunner::MakeRecorder make_recorder = options.make_recorder;
  if (options.recorded)
    make_recorder = [&] { return std::make_unique<RepeatingRecorder>(result.num_records); };
  StepRunner runner(*model, *optimizer, make_recorder);
  std::vector<StepStats> stats;
  for (std::uint64_t step = 0; step < num_steps; ++step)
    stats.push_back(runner.run(
        batches_of(step, sequences ? sequences(step) : 2),
        {.seed = 3, .step = step, .lr = 1e-3 * static_cast<double>(step + 1), .gpu = options.gpu}));
  for (const StepStats& one : stats) {  // read late: later steps must not overwrite them
    result.losses.push_back(one.loss.item<double>());
    result.norms.push_back(one.grad_norm.item<double>());
    EXPECT_TRUE(one.applied.item<bool>());
  }
  result.weights = model->parameters().master().clone();
  return result;
}

void expect_close(const Result& got, const Result& want, double tolerance) {
  ASSERT_EQ(got.losses.size(), want.losses.size());
  for (std::size_t i = 0; i < want.losses.size(); ++i) {
    EXPECT_NEAR(got.losses[i], want.losses[i], tolerance * want.losses[i]) << "step " << i;
    EXPECT_NEAR(got.norms[i], want.norms[i], 10 * tolerance * want.norms[i]) << "step " << i;
  }
}

TEST(StepRunner, GpuKernelsTrainAsTheCpuDoes) {
  for (const double dropout : {0.0, 0.2}) {
    gpu::test::HostDevice device;
    expect_close(train({.dropout = dropout, .gpu = &device}, 4), train({.dropout = dropout}, 4),
                 1e-5);
    expect_close(train({.dropout = dropout, .compute = at::kBFloat16, .gpu = &device}, 4),
                 train({.dropout = dropout}, 4), 5e-3);
  }
}

TEST(StepRunner, RecordedStepsGiveTheSameBits) {
  gpu::test::HostDevice device;
  for (const double dropout : {0.0, 0.2}) {
    const Options plain{.dropout = dropout, .compute = at::kBFloat16, .gpu = &device};
    Options recorded = plain;
    recorded.recorded = true;
    const Result want = train(plain, 6), got = train(recorded, 6);
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_EQ(got.norms, want.norms);
    EXPECT_TRUE(at::equal(got.weights, want.weights));
    EXPECT_EQ(want.num_records, 0);
    EXPECT_EQ(got.num_records, 1);
  }
}

// Two runs in threads of one process. LibTorch has one thread for the backward passes of a GPU, so
// nothing may be launched for one run while the other records, except by replays.
class Turns {
 public:
  class SlowRecorder final : public ops::Recorder {
   public:
    explicit SlowRecorder(Turns& turns) : turns_(turns) {}
    void record(const std::function<void()>& work) override {
      const std::thread::id nobody = turns_.recording_.exchange(std::this_thread::get_id());
      if (nobody != std::thread::id()) ++turns_.num_overlaps_;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      work_ = work;
      ++turns_.num_records_;
      turns_.recording_ = std::thread::id();
    }
    void replay() override {
      is_replaying() = true;
      work_();
      is_replaying() = false;
    }

   private:
    Turns& turns_;
    std::function<void()> work_;
  };
  class Device final : public gpu::Device {
   public:
    explicit Device(Turns& turns) : turns_(turns) {}
    void launch(const gpu::Kernel& kernel, const gpu::Grid& grid,
                std::span<const gpu::Argument> arguments) override {
      const std::thread::id recording = turns_.recording_;
      const bool is_other =
          recording != std::thread::id() && recording != std::this_thread::get_id();
      if (is_other && !is_replaying()) ++turns_.num_overlaps_;
      host_.launch(kernel, grid, arguments);
    }

   private:
    Turns& turns_;
    gpu::test::HostDevice host_;
  };
  int num_overlaps() const { return num_overlaps_; }
  int num_records() const { return num_records_; }

 private:
  static bool& is_replaying() {
    thread_local bool replaying = false;
    return replaying;
  }
  std::atomic<std::thread::id> recording_{};
  std::atomic<int> num_overlaps_ = 0, num_records_ = 0;
};

TEST(StepRunner, OneRunOfAProcessRecordsAtATime) {
  gpu::test::HostDevice alone;
  const Result want = train({.dropout = 0.2, .gpu = &alone}, 5);
  Turns turns;
  std::vector<Result> results(2);
  std::vector<std::thread> threads;
  for (Result& result : results) {
    threads.emplace_back([&] {
      Turns::Device device(turns);
      result =
          train({.dropout = 0.2,
                 .gpu = &device,
                 .make_recorder = [&] { return std::make_unique<Turns::SlowRecorder>(turns); }},
                5);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns.num_records(), 2);
  EXPECT_EQ(turns.num_overlaps(), 0);
  for (const Result& result : results) {
    EXPECT_EQ(result.losses, want.losses);
    EXPECT_TRUE(at::equal(result.weights, want.weights));
  }
}

// A process that trains on the host's form of a GPU.
struct Process {
  Process(gpu::Device& device, bool recorded)
      : gpu(&device),
        model(small_model(0.2, at::kBFloat16)),
        optimizer(optim::make_optimizer(optim::AdamWConfig{}, model->parameters(), gpu)),
        runner(*model, *optimizer,
               recorded ? [this] { return std::make_unique<RepeatingRecorder>(num_records); }
                        : StepRunner::MakeRecorder()) {}

  void train(std::uint64_t begin, std::uint64_t end, const std::function<void()>& between = {}) {
    for (std::uint64_t step = begin; step < end; ++step) {
      last = runner.run(batches_of(step), {.seed = 3, .step = step, .lr = 2e-3, .gpu = gpu});
      if (between) between();
    }
  }
  Savable savable() const { return {model->parameters(), *optimizer, *tokenizer, config}; }

  gpu::Device* gpu;
  int num_records = 0;
  std::unique_ptr<model::LanguageModel> model;
  std::unique_ptr<optim::Optimizer> optimizer;
  StepRunner runner;
  StepStats last;
  std::unique_ptr<text::Tokenizer> tokenizer = text::make_bytes_tokenizer();
  RunConfig config = test::small_config();
};

void expect_same_bits(const Process& got, const Process& want) {
  EXPECT_TRUE(at::equal(got.model->parameters().master(), want.model->parameters().master()));
  EXPECT_TRUE(at::equal(got.last.loss, want.last.loss));
  EXPECT_TRUE(at::equal(got.last.grad_norm, want.last.grad_norm));
  const auto state = got.optimizer->state(), wanted = want.optimizer->state();
  ASSERT_EQ(state.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_TRUE(at::equal(state[i].tensor, wanted[i].tensor)) << wanted[i].name;
}

// Invariant 2 with the kernels for GPUs: a process that died after a checkpoint, and launches its
// last steps instead of replaying them, gives the bits of one that never stopped.
TEST(StepRunner, ResumingOnAGpuGivesTheSameBits) {
  gpu::test::HostDevice device;
  Process whole(device, /*recorded=*/true), again(device, true), first(device, true),
      second(device, false);
  whole.train(0, 7);
  again.train(0, 7);
  expect_same_bits(again, whole);

  sluice::testing::TemporaryDirectory directory;
  store::CheckpointStore store(directory / "checkpoints");
  first.train(0, 4);
  const CheckpointState state{.progress = {.step = 4}, .fingerprint = "f"};
  store.save(4, checkpoint_files(first.savable(), state), checkpoint_notes(first.savable(), state));
  first.train(4, 6);  // lost
  restore(store.newest_valid()->directory, second.model->parameters(), *second.optimizer);
  second.train(4, 7);
  expect_same_bits(second, whole);
  EXPECT_EQ(whole.num_records, 1);
  EXPECT_EQ(second.num_records, 0);
}

// Invariant 3 with the kernels for GPUs.
TEST(StepRunner, ObservingAGpuChangesNothing) {
  gpu::test::HostDevice device;
  Process alone(device, true), observed(device, true);
  alone.train(0, 6);
  observed.train(0, 6, [&] {
    const at::NoGradGuard no_grad;
    const data::Batch batch = random_batch(3, 99);
    observed.model->target_nats(eval::to_device(batch, at::kCPU), {.gpu = &device}).sum();
    observed.last.loss.item<double>();
    checkpoint_files(observed.savable(), {});
  });
  expect_same_bits(observed, alone);
}

TEST(StepRunner, OtherSizesAreRecordedAgain) {
  gpu::test::HostDevice device;
  const auto sequences = [](std::uint64_t step) { return step < 4 ? 2 : 3; };
  const Result got = train({.gpu = &device, .recorded = true}, 8, sequences);
  EXPECT_EQ(got.num_records, 2);
  EXPECT_EQ(got.losses, train({.gpu = &device}, 8, sequences).losses);
}

// Dropout masks, losses and updates must come from device memory: a recorded step repeats the
// launches, settings and sizes of the step that was recorded.
TEST(StepRunner, EveryStepLaunchesTheSameKernels) {
  gpu::test::HostDevice device;
  std::vector<std::size_t> ends;
  const auto note_end = [&](std::uint64_t) {
    ends.push_back(device.launches().size());
    return std::int64_t{2};
  };
  train({.dropout = 0.2, .compute = at::kBFloat16, .gpu = &device}, 4, note_end);
  const auto launches_of = [&](std::size_t step) {
    std::vector<std::string> all;
    for (std::size_t i = ends[step]; i < ends[step + 1]; ++i) {
      const gpu::test::Launch& one = device.launches()[i];
      all.push_back(one.entry + " " + one.settings + " " + std::to_string(one.grid.x) + " " +
                    std::to_string(one.grid.y));
    }
    return all;
  };
  EXPECT_GT(launches_of(1).size(), 20u);
  EXPECT_EQ(launches_of(1), launches_of(2));
}

TEST(StepRunner, AGpuStepNeverSynchronizesWithTheHost) {
  gpu::test::HostDevice device;
  train({.dropout = 0.2, .gpu = &device}, 1);  // compiles the kernels
  const test::OperationRecorder recorder;
  const auto model = small_model(0.2);
  const auto optimizer = optim::make_optimizer(optim::AdamWConfig{}, model->parameters(), &device);
  StepRunner runner(*model, *optimizer);
  runner.run(batches_of(1), {.lr = 1e-3, .gpu = &device});
  const std::multiset<std::string> seen = recorder.seen();
  EXPECT_GT(seen.size(), 5u);
  EXPECT_EQ(test::host_reads(seen), std::vector<std::string>{});
}

TEST(StepRunner, TheConfigurationDecidesWhetherBackwardRepeats) {
  gpu::test::HostDevice device;
  const ops::test::FakeCudnn cudnn;
  const ops::CudnnAttention attention(
      cudnn.library, {[](c10::Device) -> void* { return nullptr; }, [](c10::Device) { return 9; }});
  const ops::ScopedCudnnAttention scope(attention);
  for (const bool deterministic : {true, false}) {
    RunConfig run = test::small_config();
    run.train.deterministic = deterministic;
    StepConfig config = step_config_of(run, at::kCPU);
    config.gpu = &device;
    model::DecoderConfig heads = test::small_decoder(40);
    heads.num_layers = 2;
    heads.num_heads = 3;  // of 8 elements, as cuDNN requires
    const auto model = model::make_model(heads, test::kStepVocab, test::kStepLength);
    model->parameters().allocate(at::kCPU, at::kBFloat16, true);
    model->parameters().initialize(1);
    const auto optimizer =
        optim::make_optimizer(optim::AdamWConfig{}, model->parameters(), &device);
    StepRunner(*model, *optimizer).run(batches_of(0), config);
    ASSERT_FALSE(cudnn.executions.empty());
    EXPECT_EQ(cudnn.executions.back().bindings.count(ops::kCudnnDqSum), deterministic ? 0u : 1u);
  }
  EXPECT_EQ(cudnn.executions.size(), 2u * 2 * 2 * 2);  // settings, layers, micro-batches, passes
}

TEST(StepRunner, EveryKernelOfAStepCompilesForGpus) {
  gpu::test::HostDevice device;
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16})
    train({.dropout = 0.2, .compute = compute, .gpu = &device}, 1);
  train({.gpu = &device}, 1);
  gpu::test::expect_compiles_for_gpus(device.launches());
}

}  // namespace
}  // namespace sluice::train
