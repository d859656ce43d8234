// The program on a GPU: its whole path, with the fake of tests/fake_cuda/card.h as the device.
#include <gtest/gtest.h>

#ifdef SLUICE_FAKE_CUDA

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/text_format.h"
#include "tests/app/program.h"
#include "tests/app/stop_support.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEncoderDecoder = R"(run:        {name: t5, dir: run}
corpus:     {train: [text.txt], holdout: 0.2, prepared_dir: prepared, separator: none}
tokenizer:  {type: bytes}
model:      {type: encoder_decoder, num_layers: 1, d_model: 16, num_heads: 2, d_ff: 32}
objective:  {type: span_corruption, input_length: 32}
optimizer:  {type: adafactor, lr: 1e-2}
train:      {steps: 4, batch_sequences: 4, threads: 1, device: cuda}
evaluate:   {every_steps: 2}
checkpoint: {every_steps: 2}
)";

class FakeGpu : public ShortRunTest {
 protected:
  using Words = std::vector<std::string>;
  // `variables`: NAME=VALUE.
  Words command_of(const Words& arguments, const Words& variables) const {
    Words command{"/usr/bin/env", "LD_PRELOAD=" SLUICE_FAKE_CUDA "/libcuda.so.1",
                  "LD_LIBRARY_PATH=" SLUICE_FAKE_CUDA ":" + cudnn_,
                  "SLUICE_CACHE=" + path("cache").string()};
    command.insert(command.end(), variables.begin(), variables.end());
    command.emplace_back(SLUICE_PROGRAM);
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  Outcome on_gpu(const Words& arguments, const Words& variables = {}) const {
    return run(command_of(arguments, variables));
  }
  // `sluice train CONFIG` in `directory` with other settings; it must succeed.
  void train_on_gpu(const std::string& directory, Words settings, const Words& variables = {},
                    const std::string& config = "tiny.yaml") const {
    settings.insert(settings.begin(),
                    {"train", config, "--set", "run.dir=" + directory, "train.device=cuda"});
    const Outcome outcome = on_gpu(settings, variables);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  std::vector<double> losses(const std::string& directory) const {
    std::vector<double> values;
    std::istringstream lines(read(directory + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto record = nlohmann::json::parse(line);
      if (record.contains("loss")) values.push_back(record.at("loss"));
    }
    return values;
  }
  std::string weights(const std::string& directory) const {
    return read(directory + "/checkpoints/step-4/model.safetensors") +
           read(directory + "/checkpoints/step-4/optimizer.safetensors");
  }
  std::string cudnn_ = SLUICE_FAKE_CUDA "/cudnn";
};

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double allowed) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], allowed) << i;
}

// bf16: once with cuDNN's attention, once with LibTorch's.
TEST_F(FakeGpu, TrainsAsTheCpuDoes) {
  train({"tiny.yaml", "--set", "run.dir=cpu"});
  const std::vector<double> want = losses("cpu");
  ASSERT_EQ(want.size(), 4u);
  train_on_gpu("fp32", {});
  expect_near(losses("fp32"), want, 1e-6);
  train_on_gpu("cudnn", {"train.precision=bf16"});
  expect_near(losses("cudnn"), want, 0.02);
  cudnn_.clear();
  train_on_gpu("flash", {"train.precision=bf16"});
  expect_near(losses("flash"), want, 0.02);
  EXPECT_NE(losses("flash"), losses("cudnn"));
}

// From the third step on, steps are replayed; a resumed run starts with two that are launched.
TEST_F(FakeGpu, ReplayingLaunchingAndResumingGiveTheSameBits) {
  write("t5.yaml", kEncoderDecoder);
  for (const std::string config : {"tiny.yaml", "t5.yaml"}) {
    const std::string name = config.substr(0, config.find('.'));
    const Words settings{"model.dropout=0.1", "train.precision=bf16",
                         "train.micro_batch_sequences=1"};
    train_on_gpu(name, settings, {}, config);
    train_on_gpu(name + "-launched", settings, {"SLUICE_CUDA_GRAPHS=0"}, config);
    EXPECT_EQ(weights(name), weights(name + "-launched")) << config;
    fs::copy(path(name), path("whole"), fs::copy_options::recursive);
    fs::remove_all(path(name) / "checkpoints/step-4");
    const Outcome resumed = on_gpu({"train", "--resume", name});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(weights(name), weights("whole")) << config;
    EXPECT_EQ(losses(name), losses("whole")) << config;
    fs::remove_all(path("whole"));
  }
  train_on_gpu("not-repeatable", {"train.deterministic=false", "train.precision=bf16"});
  EXPECT_NE(read("not-repeatable/run.json").find("\"repeatable\": false"), std::string::npos);
}

TEST_F(FakeGpu, EvaluatesAndGeneratesWithTheRunsWeights) {
  train_on_gpu("run", {});
  const Outcome gpu = on_gpu({"eval", "run", "--json"}), cpu = sluice({"eval", "run", "--json"});
  ASSERT_EQ(gpu.exit_code, 0) << gpu.err;
  EXPECT_NEAR(gpu.json().at("log_perplexity").get<double>(),
              cpu.json().at("log_perplexity").get<double>(), 1e-6);
  const Words generate{"generate", "run", "--prompt", "The", "--temperature", "0", "--json"};
  EXPECT_EQ(on_gpu(generate).json().at("text"), sluice(generate).json().at("text"));
}

TEST_F(FakeGpu, ExhaustedMemorySaysWhatWouldFit) {
  const std::string memory = "SLUICE_FAKE_CUDA_BYTES=260000000";
  Words large{"train",
              "tiny.yaml",
              "--set",
              "train.device=cuda",
              "train.sequence_length=512",
              "train.batch_sequences=256",
              "model.num_layers=4"};
  Words fixed = large;
  fixed.emplace_back("train.micro_batch_sequences=256");
  const Outcome outcome = on_gpu(fixed, {memory});
  EXPECT_EQ(outcome.exit_code, 74) << outcome.err;
  EXPECT_NE(outcome.err.find("train.micro_batch_sequences: received 256, out of GPU memory"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("; expected at most "), std::string::npos) << outcome.err;
  EXPECT_NE(read("run/log.txt").find("error: train.micro_batch_sequences"), std::string::npos);
  const Outcome plan = on_gpu({"plan", "tiny.yaml", "--set", "train.device=cuda", "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("gpu"), std::string::npos);
}

// The product for mfu, 4096 x 4096, takes 100 MB.
TEST_F(FakeGpu, ASmallCardTrainsWithoutMfu) {
  const Words memory{"SLUICE_FAKE_CUDA_BYTES=50000000"};
  const Outcome outcome = on_gpu({"train", "tiny.yaml", "--set", "train.device=cuda"}, memory);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("mfu is not reported"), std::string::npos) << outcome.err;
  EXPECT_NE(on_gpu({"doctor"}, memory).out.find("products not measured"), std::string::npos);
  const Outcome other =
      on_gpu({"train", "tiny.yaml", "--set", "run.dir=other", "train.device=cuda:1"}, memory);
  EXPECT_NE(other.err.find("expected cuda:0 or cpu, because this machine has 1 GPU"),
            std::string::npos)
      << other.err;
}

TEST_F(FakeGpu, RunsThatShareTheGpuGiveTheBitsOfSeparateOnes) {
  write("compare.yaml", R"(extends: [tiny.yaml]
run:     {name: two, dir: threads}
train:   {device: cuda, precision: bf16}
compare: {vary: {model.ffn: [relu, geglu]}, seeds: [1]}
)");
  for (const std::string where : {"threads", "processes"}) {
    const Outcome outcome = on_gpu({"compare", "compare.yaml", "--jobs", "2", "--runs-in", where,
                                    "--set", "run.dir=" + where});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  int num_cells = 0;
  for (const fs::directory_entry& cell : fs::directory_iterator(path("threads/cells"))) {
    const std::string run = "cells/" + cell.path().filename().string() + "/run";
    EXPECT_EQ(weights("threads/" + run), weights("processes/" + run)) << run;
    ++num_cells;
  }
  EXPECT_EQ(num_cells, 2);
}

class FakeGpus : public FakeGpu {
 protected:
  void SetUp() override {
    FakeGpu::SetUp();
    const Outcome probe =
        sluice({"launch", "-n", "2", "train", "tiny.yaml", "--set", "run.dir=probe",
                "train.steps=1", "evaluate.every_steps=never", "train.micro_batch_sequences=1"});
    if (probe.err.find("built without the headers of Gloo") != std::string::npos)
      GTEST_SKIP() << "built without Gloo's headers";
    ASSERT_EQ(probe.exit_code, 0) << probe.err;
  }
  // Weights are compared after each step.
  static Words arguments_of(const std::string& num, const std::string& directory, Words settings) {
    settings.insert(
        settings.begin(),
        {"launch", "-n", num, "train", "tiny.yaml", "--resume", "--set", "run.dir=" + directory,
         "train.device=cuda", "train.micro_batch_sequences=1", "distributed.check_every_steps=1"});
    return settings;
  }
  Outcome launch(const std::string& num, const std::string& directory, Words settings = {},
                 const Words& variables = {}) const {
    return on_gpu(arguments_of(num, directory, std::move(settings)), variables);
  }
  void launch_well(const std::string& num, const std::string& directory, Words settings = {},
                   const Words& variables = {}) const {
    const Outcome outcome = launch(num, directory, std::move(settings), variables);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  std::vector<std::string> endless_run() const {
    return command_of(arguments_of("2", "run", {"train.steps=100000"}), {});
  }
  void wait_for_steps(Process& process) const {
    EXPECT_TRUE(wait_until(process, [&] { return training_lines(path("run")).size() >= 20; }))
        << process.err();
  }
};

// As one process does but for rounding, recorded as a graph or not, and resumed.
TEST_F(FakeGpus, TrainAsOneDoes) {
  launch_well("2", "two");
  train_on_gpu("one", {"train.micro_batch_sequences=1"});
  expect_near(losses("two"), losses("one"), 1e-6);
  launch_well("2", "plain", {}, {"SLUICE_CUDA_GRAPHS=0"});
  EXPECT_EQ(weights("plain"), weights("two"));
  launch_well("2", "resumed", {"train.steps=2"});
  launch_well("2", "resumed", {"train.steps=4"});
  EXPECT_EQ(weights("resumed"), weights("two"));
  // More processes than micro-batches.
  launch_well("3", "three", {"train.batch_sequences=2"});
  train_on_gpu("small", {"train.micro_batch_sequences=1", "train.batch_sequences=2"});
  expect_near(losses("three"), losses("small"), 1e-6);
  EXPECT_EQ(launch("2", "sharded", {"distributed.shard=parameters"}).exit_code, 2);
}

TEST_F(FakeGpus, EachProcessOfAMachineHasOne) {
  const Words two_gpus{"SLUICE_FAKE_CUDA_DEVICES=2"};
  launch_well("2", "shared");
  launch_well("2", "own", {}, two_gpus);
  EXPECT_EQ(weights("own"), weights("shared"));
  train_on_gpu("first", {});
  const Outcome second =
      on_gpu({"train", "tiny.yaml", "--set", "run.dir=second", "train.device=cuda:1"}, two_gpus);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(weights("second"), weights("first"));
  const Outcome three = launch("3", "three", {}, two_gpus);
  EXPECT_EQ(three.exit_code, 2);
  EXPECT_NE(three.err.find("at most 2 processes on this machine"), std::string::npos) << three.err;
}

// The others wait on their GPU without end.
TEST_F(FakeGpus, AKilledProcessEndsTheOthers) {
  Process process(directory_.path(), endless_run());
  wait_for_steps(process);
  std::istringstream children(
      content(cat("/proc/", process.pid(), "/task/", process.pid(), "/children")));
  pid_t first = 0, second = 0;
  children >> first >> second;
  ASSERT_GT(second, 0) << process.err();
  ::kill(second, SIGKILL);
  const double begin_s = monotonic_s();
  const Outcome outcome = process.wait();
  EXPECT_LT(monotonic_s() - begin_s, 2);
  EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
  EXPECT_NE(outcome.err.find(cat("process ", second, "): ended")), std::string::npos)
      << outcome.err;
}

// Rank 0 cannot save.
TEST_F(FakeGpus, AnErrorOfOneEndsTheOthersWithItsCode) {
  Process process(directory_.path(), endless_run());
  wait_for_steps(process);
  write("file", "");
  const std::string checkpoints = path("run/checkpoints"), file = path("file");
  ASSERT_EQ(::renameat2(AT_FDCWD, file.c_str(), AT_FDCWD, checkpoints.c_str(), RENAME_EXCHANGE), 0);
  const double begin_s = monotonic_s();
  const Outcome outcome = process.wait();
  EXPECT_LT(monotonic_s() - begin_s, 5);  // the launcher would kill one that waits
  EXPECT_EQ(outcome.exit_code, 74) << outcome.err;
  EXPECT_NE(outcome.err.find("Not a directory"), std::string::npos) << outcome.err;
}

TEST_F(FakeGpus, NeedNccl) {
  if (::dlopen("libnccl.so.2", RTLD_NOW) != nullptr) GTEST_SKIP() << "this machine has one";
  fs::create_directory(path("libraries"));
  fs::create_symlink(SLUICE_FAKE_CUDA "/libnvrtc.so.13", path("libraries/libnvrtc.so.13"));
  const Outcome outcome =
      launch("2", "run", {}, {"LD_LIBRARY_PATH=" + path("libraries").string() + ":" + cudnn_});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("because NCCL (libnccl.so.2"), std::string::npos) << outcome.err;
}

TEST_F(FakeGpu, DoctorDescribesIt) {
  const Outcome outcome = on_gpu({"doctor"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text : {"Fake H100, compute capability 9.0", "cuDNN 9.19.0", "NVRTC 13.0",
                           "GPU found: train.device auto uses it"})
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
}

}  // namespace
}  // namespace sluice::app

#endif
