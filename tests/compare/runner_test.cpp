// Cells as child processes: success, failures, stop signals, lifetime of children.
#include "compare/runner.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/signals.h"
#include "compare/child.h"
#include "compare/progress.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::FakeRuns;
using testing::num_starts;

class RunnerTest : public ::testing::Test {
 protected:
  Cell cell(const std::string& ffn, std::uint64_t seed) {
    Cell cell{.settings = {{"model.ffn", ffn}}, .seed = seed};
    cell.facts = runs_.make({.settings = cell.settings, .seed = seed});
    cell.hash = cell_hash(cell.facts);
    cell.family = family_hash(cell.facts);
    cell.directory = directory_ / "cells" / cell_name(cell.settings, {}, seed, cell.hash);
    return cell;
  }
  Tally run(const std::vector<Cell>& cells, int jobs = 1) {
    return run_cells(cells, runs_, {.num_jobs = jobs});
  }
  // The same as threads of one process.
  Tally run_in_worker(const std::vector<Cell>& cells, int jobs) {
    return run_cells(cells, runs_,
                     {.num_jobs = jobs,
                      .worker = WorkerCommand{runs_.worker_command(), directory_ / "worker.txt"}});
  }
  void TearDown() override { clear_stop(); }

  sluice::testing::TemporaryDirectory directory_;
  FakeRuns runs_{directory_ / "fake"};
};

template <class Condition>
bool comes_true(const Condition& condition, std::chrono::milliseconds limit = 10s) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return condition();
}

// False for zombies.
bool is_alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return false;
  const char state = text[text.rfind(')') + 2];
  return state != 'Z' && state != 'X';
}

pid_t pid_in(const fs::path& run) {
  pid_t pid = 0;
  std::ifstream(run / "pid") >> pid;
  return pid;
}

TEST_F(RunnerTest, FinishedCellsAreNotRunAgain) {
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1)};
  const Tally first = run(cells, 2);
  EXPECT_EQ(first.num_finished, 2U);
  const Tally second = run(cells);
  EXPECT_EQ(second.num_finished, 2U);
  EXPECT_EQ(num_starts(cells[0].directory), 1U);
  EXPECT_TRUE(is_finished(cells[0], record_of(cells[0])));
}

TEST_F(RunnerTest, OneWorkerRunsAllCells) {
  runs_.behavior = {{"geglu, seed 1", "silent"}, {"geglu, seed 2", "diverge"}};
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1), cell("relu", 2),
                                cell("geglu", 2)};
  const Tally tally = run_in_worker(cells, 2);
  EXPECT_EQ(tally.num_finished, 2U);
  EXPECT_EQ(tally.num_failed, 1U);
  EXPECT_EQ(tally.num_diverged, 1U);
  EXPECT_EQ(record_of(cells[1]).remark, "exit code 9");
  EXPECT_EQ(record_of(cells[3]).remark, "training: a loss of NaN");
  EXPECT_EQ(runs_.num_workers(), 1U);
}

// It may have been an error of the GPU, after which the process cannot use it.
TEST_F(RunnerTest, AfterAnInternalErrorRunsStartInANewWorker) {
  runs_.behavior = {{"relu, seed 1", "crash"}};
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1), cell("relu", 2)};
  const Tally tally = run_in_worker(cells, 1);
  EXPECT_EQ(tally.num_finished, 2U);
  EXPECT_EQ(record_of(cells[0]).remark, "exit code 1: the bowl of petunias: fell");
  EXPECT_EQ(runs_.num_workers(), 2U);
}

TEST_F(RunnerTest, ADyingWorkerFailsItsCellsAndTheOthersGetANewOne) {
  runs_.behavior = {{"relu, seed 1", "slow"}, {"geglu, seed 1", "kill"}};
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1), cell("relu", 2),
                                cell("geglu", 2)};
  const Tally tally = run_in_worker(cells, 2);
  EXPECT_EQ(tally.num_finished, 2U);
  EXPECT_EQ(tally.num_failed, 2U);
  for (const std::size_t i : {0U, 1U})
    EXPECT_EQ(record_of(cells[i]).remark, "killed by SIGKILL, possibly out of memory");
  EXPECT_EQ(num_starts(cells[2].directory), 1U);
  EXPECT_EQ(runs_.num_workers(), 2U);
}

TEST_F(RunnerTest, BrokenCellsDoNotAffectOthers) {
  runs_.behavior = {
      {"relu, seed 1", "crash"}, {"glu, seed 1", "diverge"}, {"swish, seed 1", "nothing"}};
  const std::vector<Cell> cells{cell("relu", 1), cell("glu", 1), cell("swish", 1),
                                cell("geglu", 1)};
  const Tally tally = run(cells, 2);
  EXPECT_EQ(tally.num_finished, 1U);
  EXPECT_EQ(tally.num_diverged, 1U);
  EXPECT_EQ(tally.num_failed, 2U);
  EXPECT_EQ(tally.worst_code, 1);
  EXPECT_EQ(record_of(cells[0]).remark, "exit code 1: the bowl of petunias: fell");
  EXPECT_EQ(record_of(cells[1]).state, CellState::kDiverged);
  EXPECT_EQ(record_of(cells[1]).remark, "training: a loss of NaN");
  EXPECT_NE(record_of(cells[2]).remark.find("result.json"), std::string::npos);

  runs_.behavior.clear();  // failed cells are rerun, diverged ones are final
  const std::vector<Cell> again{cell("relu", 1), cell("glu", 1), cell("swish", 1),
                                cell("geglu", 1)};
  const Tally second = run(again);
  EXPECT_EQ(second.num_finished, 3U);
  EXPECT_EQ(second.num_diverged, 1U);
  EXPECT_EQ(num_starts(again[1].directory), 1U);
}

TEST_F(RunnerTest, MissingProgramIsAFailure) {
  class MissingProgram final : public RunFactory {
   public:
    void prepare(const RunRequest&) override {}
    RunFacts make(const RunRequest&) override { return {}; }
    std::vector<std::string> train_command(const fs::path&, const fs::path&) const override {
      return {"/no/such/program"};
    }
    std::vector<std::string> measure_command(const fs::path&) const override { return {}; }
    std::vector<std::string> worker_command() const override { return {}; }
  };
  const std::vector<Cell> cells{cell("relu", 1)};
  const Tally tally = run_cells(cells, MissingProgram(), {});
  EXPECT_EQ(tally.num_failed, 1U);
  EXPECT_EQ(tally.worst_code, 1);
}

TEST_F(RunnerTest, StopInterruptsAllAndTheSameCallContinues) {
  runs_.behavior = {{"relu, seed 1", "slow"}, {"geglu, seed 1", "slow"}};
  runs_.steps = 40;
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1), cell("glu", 1)};
  std::thread stopper([&] {
    comes_true([&] {
      return last_progress(cells[0].run_dir() / "metrics.jsonl") &&
             last_progress(cells[1].run_dir() / "metrics.jsonl");
    });
    request_stop(SIGINT);
  });
  const Tally stopped = run(cells, 2);
  stopper.join();
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.num_waiting, 3U);
  EXPECT_EQ(stopped.num_finished, 0U);
  EXPECT_EQ(record_of(cells[0]).state, CellState::kStarted);
  EXPECT_FALSE(fs::exists(cells[2].directory));

  clear_stop();
  const Tally finished = run(cells, 2);
  EXPECT_FALSE(finished.interrupted);
  EXPECT_EQ(finished.num_finished, 3U);
  EXPECT_EQ(num_starts(cells[0].directory), 2U);
}

TEST_F(RunnerTest, StopInterruptsAChildWithoutSignalHandlers) {
  runs_.behavior = {{"relu, seed 1", "deaf"}};
  const std::vector<Cell> cells{cell("relu", 1)};
  std::thread stopper([&] {
    comes_true([&] {
      return last_progress(cells[0].run_dir() / "metrics.jsonl").value_or(Progress{}).step >= 2;
    });
    std::this_thread::sleep_for(100ms);
    request_stop(SIGINT);
  });
  const Tally tally = run(cells);
  stopper.join();
  EXPECT_TRUE(tally.interrupted);
  EXPECT_EQ(tally.num_failed, 0U);
  EXPECT_EQ(record_of(cells[0]).state, CellState::kStarted);
}

// A job manager may signal the child before the parent, and a user only the child.
TEST_F(RunnerTest, ChildTerminatedByAStopSignalIsUnsaved) {
  runs_.behavior = {{"relu, seed 1", "deaf"}};
  const std::vector<Cell> cells{cell("relu", 1)};
  for (const StopSignal& stop : kStopSignals) {
    const std::size_t starts = num_starts(cells[0].directory);
    std::thread killer([&] {
      comes_true([&] { return num_starts(cells[0].directory) > starts; });
      std::this_thread::sleep_for(200ms);
      kill(pid_in(cells[0].run_dir()), stop.number);
    });
    const Tally tally = run(cells);
    killer.join();
    EXPECT_TRUE(tally.interrupted) << stop.name;
    EXPECT_EQ(tally.num_failed, 0U) << stop.name;
    EXPECT_EQ(tally.num_waiting, 1U) << stop.name;
    EXPECT_EQ(tally.num_unsaved, 1U) << stop.name;  // steps, but no checkpoint
    EXPECT_EQ(tally.num_saved, 0U) << stop.name;
    EXPECT_EQ(record_of(cells[0]).state, CellState::kStarted) << stop.name;
  }
}

TEST_F(RunnerTest, RemarkIsFromTheLastStart) {
  runs_.behavior = {{"relu, seed 1", "crash"}};
  run({{cell("relu", 1)}});
  runs_.behavior = {{"relu, seed 1", "silent"}};
  const std::vector<Cell> again{cell("relu", 1)};
  run(again);
  EXPECT_EQ(record_of(again[0]).remark, "exit code 9");
}

TEST_F(RunnerTest, RerunsCellsWithADamagedResultOrRecord) {
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1)};
  run(cells);
  std::ofstream(cells[0].run_dir() / "result.json") << "{}";
  std::ofstream(cells[1].record_file()) << "nonsense";
  EXPECT_FALSE(is_finished(cells[0], record_of(cells[0])));
  EXPECT_EQ(run(cells).num_finished, 2U);
  EXPECT_EQ(num_starts(cells[0].directory), 2U);
  EXPECT_EQ(num_starts(cells[1].directory), 1U);  // the first run was deleted
  EXPECT_TRUE(is_finished(cells[1], record_of(cells[1])));
}

TEST_F(RunnerTest, ChildrenDieWithAKilledParent) {
  runs_.behavior = {{"relu, seed 1", "hang"}, {"geglu, seed 1", "hang"}};
  const std::vector<Cell> cells{cell("relu", 1), cell("geglu", 1)};
  const pid_t parent = fork();
  if (parent == 0) {
    run(cells, 2);
    _exit(0);
  }
  ASSERT_GT(parent, 0);
  ASSERT_TRUE(comes_true([&] {
    return last_progress(cells[0].run_dir() / "metrics.jsonl").value_or(Progress{}).step >= 2 &&
           last_progress(cells[1].run_dir() / "metrics.jsonl").value_or(Progress{}).step >= 2;
  }));
  const pid_t children[] = {pid_in(cells[0].run_dir()), pid_in(cells[1].run_dir())};
  EXPECT_TRUE(is_alive(children[0]) && is_alive(children[1]));
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(comes_true([&] { return !is_alive(children[0]) && !is_alive(children[1]); }, 2s));
}

TEST_F(RunnerTest, DestructorKillsTheChild) {
  pid_t pid = 0;
  {
    Child child({"/bin/sh", "-c",
                 "trap '' TERM; echo $$ > " + (directory_ / "pid").string() +
                     "; while :; do sleep 0.1; done"},
                directory_ / "out");
    ASSERT_TRUE(comes_true(
        [&] { return fs::exists(directory_ / "pid") && fs::file_size(directory_ / "pid") > 0; }));
    pid = pid_in(directory_.path());
    EXPECT_FALSE(child.exit_code());
  }
  EXPECT_FALSE(is_alive(pid));
}

TEST_F(RunnerTest, ChildHasItsOwnGroupAndNoInput) {
  // Fields 1 and 5 of /proc/PID/stat: process ID and process group.
  Child child({"/bin/sh", "-c",
               "read x; echo \"got $x\"; read -r pid name state parent group rest < /proc/$$/stat; "
               "echo $pid $group; exit 7"},
              directory_ / "out");
  EXPECT_TRUE(comes_true([&] { return child.exit_code().has_value(); }));
  EXPECT_EQ(child.exit_code(), 7);
  std::ifstream file(directory_ / "out");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "got ");
  pid_t pid = 0, group = 0;
  file >> pid >> group;
  EXPECT_GT(pid, 0);
  EXPECT_EQ(group, pid);
}

TEST_F(RunnerTest, ProgressIsTheLastCompleteTrainingLine) {
  const fs::path path = directory_ / "metrics.jsonl";
  EXPECT_FALSE(last_progress(path));
  std::ofstream(path) << "{\"step\":0,\"eval\":{\"loss\":1}}\n";
  EXPECT_FALSE(last_progress(path));
  std::ofstream(path, std::ios::app)
      << std::string(20000, ' ')
      << "\n{\"step\":7,\"loss\":2.5}\n{\"step\":7,\"eval\":{}}\n{\"step\":8,\"lo";
  const auto reading = last_progress(path);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->step, 7);
  EXPECT_EQ(reading->loss, 2.5);
}

}  // namespace
}  // namespace sluice::compare
