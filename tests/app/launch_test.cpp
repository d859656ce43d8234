// Training by several processes: the same bits as by one.
#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

#include "cluster/address.h"
#include "tests/app/launch_support.h"
#include "tests/dist/processes.h"

namespace sluice::app {
namespace {

// Seven slots: 4 + 3, 2 + 2 + 3 and 1 + 2 + 2 + 2 of them, so that sums of one process and sums
// across processes alternate in the tree.
TEST_F(Launch, OneToFourProcessesGiveTheSameBits) {
  // What rank 0 shows is of all processes.
  const auto expect_speed_of_all = [&](const std::string& run) {
    std::istringstream lines(read(run + "/metrics.jsonl"));
    double before = 0;
    for (std::string line; std::getline(lines, line);) {
      const auto step = nlohmann::json::parse(line);
      if (!step.contains("loss")) continue;
      const double tokens = step.at("tokens"), seconds = step.at("time").at("step_seconds"),
                   tokens_per_s = step.at("time").at("tokens_per_s");
      EXPECT_NEAR(tokens_per_s * seconds, tokens - before, 1e-6) << line;
      before = tokens;
    }
    EXPECT_GT(before, 0);
  };
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
        expect_speed_of_all(cat(setting, num));
      }
    }
}

// Weights and gradients are divided by layer, slots by round: the last round is not complete.
TEST_F(Launch, ShardedParametersGiveTheSameBits) {
  const std::vector<std::string> layers = {"model.num_layers=3", "train.tensorboard=true"};
  struct Setting {
    std::string model, optimizer;
    std::vector<int> processes;
    std::vector<std::string> more = {};
  };
  const std::vector<Setting> settings = {
      {"decoder", "adamw", {2, 3, 4}},
      {"decoder", "muon", {2}},
      {"encoder_decoder", "adafactor", {3}},
      {"encoder_decoder", "adamw", {2}},
      // Processes without micro-batches and without batches of
      // the evaluation, and updates that are skipped.
      {"decoder",
       "scale_by_rms",
       {4},
       {"train.batch_sequences=2", "evaluate.max_tokens=96", "evaluate.final_max_tokens=96",
        "model.bias=true", "model.norm={type: layernorm}", "model.tie_embeddings=false",
        "train.steps=40", "checkpoint.every_steps=10",
        "train.divergence={policy: skip, spike_factor: 1.02, "
        "max_events: 100}"}}};
  for (const auto& setting : settings) {
    const auto train = [&](int num, const std::string& run) {
      std::vector<std::string> arguments = {
          "train", setting.model + ".yaml", "--set", "run.dir=" + run,
          setting.optimizer == "scale_by_rms"
              ? "optimizer={type: adamw, scale_by_rms: true, lr: 0.01}"
              : cat("optimizer={type: ", setting.optimizer, ", lr: 0.01}")};
      arguments.insert(arguments.end(), setting.more.begin(), setting.more.end());
      arguments.insert(arguments.end(), layers.begin(), layers.end());
      arguments.push_back("distributed.shard=parameters");  // no effect on one process
      const Outcome outcome = sluice(with(num, arguments));
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_EQ(outcome.err.find("; skipped") != std::string::npos, !setting.more.empty())
          << outcome.err;
    };
    const std::string whole = cat(setting.model, "-", setting.optimizer);
    train(1, whole);
    for (const int num : setting.processes) {
      const std::string run = cat(whole, num);
      train(num, run);
      expect_equal(whole, run, setting.more.empty() ? 6 : 40);
      EXPECT_EQ(events_of(run), events_of(whole));
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
  const auto train = [&](int num, const std::string& run, int steps,
                         const std::string& shard = "optimizer") {
    const Outcome outcome =
        sluice(with(num, {"train", "decoder.yaml", "--resume", "--set", "run.dir=" + run,
                          "train.precision=bf16", "evaluate.every_steps=2",
                          cat("train.steps=", steps), "distributed.shard=" + shard}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  train(1, "whole", 12);
  train(4, "run", 2);
  train(1, "run", 4);
  train(2, "run", 6);
  train(3, "run", 8, "parameters");
  train(2, "run", 10, "parameters");
  train(2, "run", 12);
  expect_equal("whole", "run", 12);
}

// All processes take the same decisions, and skip the same data.
TEST_F(Launch, RollsBackAsOneProcessDoes) {
  for (int num = 1; num <= 3; ++num) {
    const Outcome outcome = sluice(
        with(num, {"train", "decoder.yaml", "--set", cat("run.dir=rolled", num), "train.steps=60",
                   "evaluate.every_steps=never", "checkpoint.every_steps=10", "optimizer.lr=0.001",
                   "distributed.shard=parameters",
                   "train.divergence={policy: rollback, spike_factor: 1.1, max_events: 100}"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rolling back to step"), std::string::npos) << outcome.err;
    if (num > 1) expect_equal("rolled1", cat("rolled", num), 60);
  }
}

// Two processes started by hand, as by srun.
struct ByHand {
  std::string directory = ".", program = SLUICE_PROGRAM, threads = "1", setting = "run.seed=1";
};

class Refusal : public Launch {
 protected:
  // Of rank 0 and rank 1, both of which say that rank 1 differs.
  void expect_refusal(const ByHand& first, const ByHand& second, const std::string& what) {
    const int port = dist::testing::free_port();
    std::vector<std::unique_ptr<Process>> processes;
    for (const auto& [rank, one] : {std::pair(0, first), std::pair(1, second)})
      processes.push_back(std::make_unique<Process>(
          path(one.directory),
          std::vector<std::string>{
              "/usr/bin/env", cat("SLURM_PROCID=", rank), "SLURM_STEP_NUM_TASKS=2",
              "MASTER_ADDR=127.0.0.1", cat("MASTER_PORT=", port), "OMP_NUM_THREADS=" + one.threads,
              one.program, "train", "decoder.yaml", "--set", "train.threads=auto", one.setting}));
    for (const auto& process : processes) {
      const Outcome outcome = process->wait();
      EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
      EXPECT_NE(outcome.err.find(cat("error: rank 1 (", cluster::host_name(), ", process ")),
                std::string::npos)
          << outcome.err;
      EXPECT_NE(outcome.err.find(cat("): ", what, ": received ")), std::string::npos)
          << outcome.err;
    }
    EXPECT_FALSE(std::filesystem::exists(path("run")));
  }
};

TEST_F(Refusal, OfAnotherConfiguration) {
  expect_refusal({}, {.setting = "run.seed=2"}, "run.seed");
}

TEST_F(Refusal, OfAnotherProgram) {
  std::filesystem::copy_file(SLUICE_PROGRAM, path("other"));
  std::ofstream(path("other"), std::ios::app) << "x";
  expect_refusal({}, {.program = path("other").string()}, "program");
}

TEST_F(Refusal, OfOtherData) {
  std::filesystem::create_directory(path("second"));
  for (const char* file : {"decoder.yaml", "text.txt"})
    std::filesystem::copy_file(path(file), path("second") / file);
  write("second/text.txt", read("text.txt") + "\n\nOne more paragraph.\n");
  expect_refusal({}, {.directory = "second"}, "prepared data");
}

TEST_F(Refusal, OfAnotherNumberOfThreads) { expect_refusal({}, {.threads = "2"}, "train.threads"); }

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
