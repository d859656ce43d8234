// Training by several processes: the same bits as by one, and what happens if one of them fails.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/text_format.h"
#include "tests/app/program.h"
#include "tests/dist/processes.h"

namespace sluice::app {
namespace {

const char* const kOneStack = R"(
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 1, d_model: 24, num_heads: 2, ffn: swiglu, d_ff: 40,
            dropout: 0.1}
train:     {steps: 6, batch_sequences: 7, micro_batch_sequences: 1, sequence_length: 32,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}
schedule:  {type: constant, warmup_steps: 2}
evaluate:  {every_steps: 3, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 2, keep_last: 10}
distributed: {timeout: 10s, check_every_steps: 2, bucket: 0}
)";
const char* const kTwoStacks = R"(
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2, separator: none}
tokenizer: {type: bytes}
model:     {type: encoder_decoder, num_layers: 1, num_decoder_layers: 1, d_model: 24, num_heads: 2,
            head_dim: 12, ffn: geglu, d_ff: 40, dropout: 0.1}
objective: {type: span_corruption, input_length: 32}
train:     {steps: 6, batch_sequences: 7, micro_batch_sequences: 1, precision: bf16, device: cpu,
            threads: 1, tensorboard: false}
schedule:  {type: t5}
evaluate:  {every_steps: 3, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 2, keep_last: 10}
distributed: {timeout: 10s, check_every_steps: 2, bucket: 0}
)";

const std::vector<std::string> kSavedFiles = {"model.safetensors", "optimizer.safetensors",
                                              "train_state.json", "config.yaml"};

class Launch : public ProgramTest {
 protected:
  void SetUp() override {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_english();
    write("decoder.yaml", kOneStack);
    write("encoder_decoder.yaml", kTwoStacks);
    if (sluice({"launch", "-n", "2", "train", "decoder.yaml", "--set", "run.dir=probe",
                "train.steps=1", "evaluate.every_steps=never"})
            .err.find("built without the headers of Gloo") != std::string::npos)
      GTEST_SKIP() << "built without Gloo's headers";
  }

  static std::vector<std::string> with(int num, std::vector<std::string> arguments) {
    if (num > 1) {
      const std::vector<std::string> launch = {"launch", "-n", std::to_string(num)};
      arguments.insert(arguments.begin(), launch.begin(), launch.end());
    }
    return arguments;
  }

  // The files of a checkpoint and, without times, its metrics.
  std::vector<std::string> state_of(const std::string& run, int step) const {
    std::vector<std::string> all;
    for (const std::string& file : kSavedFiles)
      all.push_back(read(cat(run, "/checkpoints/step-", step, "/", file)));
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json one = nlohmann::json::parse(line);
      one.erase("time");
      if (one.at("step") <= step) all.push_back(one.dump());
    }
    return all;
  }
  void expect_equal(const std::string& run, const std::string& other, int step) const {
    const auto one = state_of(run, step), two = state_of(other, step);
    ASSERT_EQ(one.size(), two.size());
    EXPECT_GT(one[0].size(), 1000u);
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(one[i] == two[i])
          << run << ", " << other << ": "
          << (i < kSavedFiles.size() ? kSavedFiles[i] : one[i] + "\n" + two[i]);
  }
  std::string program() const { return SLUICE_BINARY_DIR "/sluice"; }
};

// Seven slots: 4 + 3, 2 + 2 + 3 and 1 + 2 + 2 + 2 of them, so that sums of one process and sums
// across processes alternate in the tree.
TEST_F(Launch, OneToFourProcessesGiveTheSameBits) {
  for (const std::string model : {"decoder", "encoder_decoder"})
    for (const std::string optimizer : {"adamw", "adafactor", "muon"}) {
      const std::string setting = model + "-" + optimizer;
      for (int num = 1; num <= 4; ++num) {
        const Outcome outcome = sluice(
            with(num, {"train", model + ".yaml", "--json", "--set", cat("run.dir=", setting, num),
                       cat("optimizer={type: ", optimizer, ", lr: 0.01}")}));
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        EXPECT_EQ(outcome.json().at("step"), 6);  // one object: only rank 0 reports
        if (num > 1) expect_equal(setting + "1", cat(setting, num), 6);
      }
    }
}

// distributed.reduction: fast adds in another order: losses of 100 steps differ by rounding only.
TEST_F(Launch, FastReductionDiffersByRoundingOnly) {
  const auto losses = [&](int num, const std::string& reduction) {
    const std::string run = cat(reduction, num);
    const Outcome outcome =
        sluice(with(num, {"train", "decoder.yaml", "--set", "run.dir=" + run, "train.steps=100",
                          "evaluate.every_steps=never", "distributed.reduction=" + reduction}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::vector<double> all;
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);)
      all.push_back(nlohmann::json::parse(line).at("loss"));
    EXPECT_EQ(all.size(), 100u);
    return all;
  };
  const std::vector<double> exact = losses(1, "exact");
  for (const int num : {1, 3}) {
    const std::vector<double> fast = losses(num, "fast");
    ASSERT_EQ(fast.size(), exact.size());
    for (std::size_t i = 0; i < fast.size(); ++i)
      EXPECT_NEAR(fast[i], exact[i], 1e-5 * exact[i]) << num << ", step " << i + 1;
    EXPECT_NE(fast, exact);  // another order was used
  }
}

TEST_F(Launch, ResumesWithAnotherNumberOfProcesses) {
  // Every length is that of a scheduled evaluation and save.
  const auto train = [&](int num, const std::string& run, int steps) {
    const Outcome outcome = sluice(
        with(num, {"train", "decoder.yaml", "--resume", "--set", "run.dir=" + run,
                   "train.precision=bf16", "evaluate.every_steps=2", cat("train.steps=", steps)}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  train(1, "whole", 8);
  train(4, "run", 2);
  train(1, "run", 4);
  train(2, "run", 6);
  train(3, "run", 8);
  expect_equal("whole", "run", 8);
}

// All processes take the same decisions, and skip the same data.
TEST_F(Launch, RollsBackAsOneProcessDoes) {
  for (int num = 1; num <= 3; ++num) {
    const Outcome outcome = sluice(
        with(num, {"train", "decoder.yaml", "--set", cat("run.dir=rolled", num), "train.steps=60",
                   "evaluate.every_steps=never", "checkpoint.every_steps=10", "optimizer.lr=0.001",
                   "train.divergence={policy: rollback, spike_factor: 1.1, max_events: 100}"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rolling back to step"), std::string::npos) << outcome.err;
    if (num > 1) expect_equal("rolled1", cat("rolled", num), 60);
  }
}

class LaunchedRun : public Launch {
 protected:
  // Starts a long run of `num` processes and waits until it has saved a step; `pids` by rank.
  std::unique_ptr<Process> start(int num, std::vector<pid_t>& pids) {
    std::vector<std::string> command =
        with(num, {"train", "decoder.yaml", "--resume", "--set", "train.steps=20000",
                   "distributed.timeout=1s", "evaluate.every_steps=never"});
    command.insert(command.begin(), program());
    auto process = std::make_unique<Process>(directory_.path(), command);
    const double end_s = monotonic_s() + 60;
    while (!std::filesystem::exists(path("run/checkpoints/step-2")) && process->running() &&
           monotonic_s() < end_s)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (const std::string& word :
         {content(cat("/proc/", process->pid(), "/task/", process->pid(), "/children"))}) {
      std::istringstream in(word);
      for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
    }
    EXPECT_EQ(pids.size(), static_cast<std::size_t>(num)) << process->err();
    return process;
  }
};

TEST_F(LaunchedRun, NamesAKilledProcess) {
  std::vector<pid_t> pids;
  const auto process = start(3, pids);
  ASSERT_EQ(pids.size(), 3u);
  ::kill(pids[1], SIGKILL);
  const double begin_s = monotonic_s();
  const Outcome outcome = process->wait();
  EXPECT_LT(monotonic_s() - begin_s, 2);
  EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
  EXPECT_NE(outcome.err.find(cat("error: rank 1 (")), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(cat("process ", pids[1], "): ended")), std::string::npos)
      << outcome.err;
  EXPECT_EQ(outcome.err.find("rank 0 ("), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("rank 2 ("), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("train --resume run"), std::string::npos) << outcome.err;
}

TEST_F(LaunchedRun, NamesAHungProcess) {
  std::vector<pid_t> pids;
  const auto process = start(3, pids);
  ASSERT_EQ(pids.size(), 3u);
  ::kill(pids[2], SIGSTOP);
  const double begin_s = monotonic_s();
  const std::string expected = cat("process ", pids[2], "): no answer within 1 s");
  while (process->err().find(expected) == std::string::npos && monotonic_s() - begin_s < 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LT(monotonic_s() - begin_s, 2) << process->err();
  ::kill(pids[2], SIGCONT);
  const Outcome outcome = process->wait();
  EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
}

// SIGTERM to any process, or to the launcher: all save once and exit with 75.
TEST_F(LaunchedRun, AStopOfAnyProcessStopsAll) {
  for (const int target : {0, 2, -1}) {
    std::filesystem::remove_all(path("run"));
    std::vector<pid_t> pids;
    const auto process = start(3, pids);
    ASSERT_EQ(pids.size(), 3u);
    ::kill(target < 0 ? process->pid() : pids[static_cast<std::size_t>(target)], SIGTERM);
    const Outcome outcome = process->wait();
    EXPECT_EQ(outcome.exit_code, 75) << target << ": " << outcome.err;
    EXPECT_EQ(outcome.err.find("ended"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(", checkpoint saved"), std::string::npos) << outcome.err;
  }
}

// After kill -9 of one process or all, a resume has the bits of a run that was not interrupted.
TEST_F(LaunchedRun, ResumesAfterAKill) {
  const std::vector<std::string> settings = {"train.steps=20000", "evaluate.every_steps=never",
                                             "distributed.timeout=1s"};
  for (const bool all : {false, true}) {
    std::filesystem::remove_all(path("run"));
    std::vector<pid_t> pids;
    const auto process = start(3, pids);
    ASSERT_EQ(pids.size(), 3u);
    for (const pid_t pid : pids)
      if (all || pid == pids[2]) ::kill(pid, SIGKILL);
    process->wait();
    // Continue with two processes, until a few steps later; then the whole by one.
    std::vector<std::string> resume = with(2, {"train", "--resume", "run"});
    resume.insert(resume.begin(), program());
    Process resumed(directory_.path(), resume);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    resumed.signal(SIGTERM);
    const Outcome outcome = resumed.wait();
    ASSERT_EQ(outcome.exit_code, 75) << outcome.err;
    int newest = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path("run/checkpoints"))) {
      const std::string name = entry.path().filename();
      if (name.starts_with("step-") && name.find('.') == std::string::npos)
        newest = std::max(newest, std::stoi(name.substr(5)));
    }
    ASSERT_GT(newest, 2);
    std::vector<std::string> single = {"train", "decoder.yaml",   "--fresh",
                                       "--set", "run.dir=single", cat("train.steps=", newest)};
    std::vector<std::string> more = settings;
    more.erase(more.begin());
    single.insert(single.end(), more.begin(), more.end());
    ASSERT_EQ(sluice(single).exit_code, 0);
    for (const std::string file : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(read(cat("run/checkpoints/step-", newest, "/", file)) ==
                  read(cat("single/checkpoints/step-", newest, "/", file)))
          << file << " after step " << newest;
  }
}

// torchrun starts the job again; --resume continues it.
TEST_F(LaunchedRun, TorchrunStartsAgainAfterAKill) {
  const std::string python = SLUICE_PYTHON;
  Process torchrun(directory_.path(),
                   {python, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python",
                    "--max-restarts", "1", "--master-port",
                    std::to_string(dist::testing::free_port()), program(), "train", "decoder.yaml",
                    "--resume", "--set", "train.steps=20000", "evaluate.every_steps=never"});
  const auto num_lines = [&] {
    const std::string lines = read("run/metrics.jsonl");
    return std::count(lines.begin(), lines.end(), '\n');
  };
  const auto wait_for = [&](const auto& condition) {
    for (const double end_s = monotonic_s() + 60; !condition() && monotonic_s() < end_s;)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  wait_for([&] { return !torchrun.running() || num_lines() > 20; });
  ASSERT_TRUE(torchrun.running()) << torchrun.err();
  std::istringstream children(
      content(cat("/proc/", torchrun.pid(), "/task/", torchrun.pid(), "/children")));
  pid_t one = 0;
  children >> one;
  ASSERT_GT(one, 0);
  ::kill(one, SIGKILL);
  const double begin_s = monotonic_s();
  wait_for([&] { return torchrun.err().find("continuing from step") != std::string::npos; });
  const auto before = num_lines();
  wait_for([&] { return num_lines() != before; });
  EXPECT_LT(monotonic_s() - begin_s, 5) << torchrun.err();
  EXPECT_TRUE(torchrun.running()) << torchrun.err();
  torchrun.signal(SIGTERM);
  torchrun.wait();
}

// Two processes started by hand, as by srun, with different configurations.
TEST_F(Launch, RefusesProcessesThatDiffer) {
  const int port = dist::testing::free_port();
  std::vector<std::unique_ptr<Process>> processes;
  for (int rank = 0; rank < 2; ++rank)
    processes.push_back(std::make_unique<Process>(
        directory_.path(), std::vector<std::string>{
                               "/usr/bin/env", cat("SLURM_PROCID=", rank), "SLURM_STEP_NUM_TASKS=2",
                               "MASTER_ADDR=127.0.0.1", cat("MASTER_PORT=", port), program(),
                               "train", "decoder.yaml", "--set", cat("run.seed=", rank + 1)}));
  for (const auto& process : processes) {
    const Outcome outcome = process->wait();
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find("): configuration: received "), std::string::npos) << outcome.err;
  }
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

TEST_F(Launch, UsageErrors) {
  EXPECT_EQ(sluice({"launch", "-n", "2"}).err,
            "error: COMMAND: missing argument; expected `train` and its arguments\n");
  EXPECT_EQ(sluice({"launch", "train", "decoder.yaml"}).exit_code, 2);
  EXPECT_EQ(sluice({"launch", "-n", "0", "train", "decoder.yaml"}).exit_code, 2);
  // An error that every process would have is that of the command.
  const Outcome outcome =
      sluice({"launch", "-n", "2", "train", "decoder.yaml", "--set", "run.dir=probe"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("run already exists"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sluice::app
