// Training by several processes: what happens if one of them fails.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "cluster/address.h"
#include "tests/app/launch_support.h"
#include "tests/app/stop_support.h"
#include "tests/base/count_parts.h"

namespace sluice::app {
namespace {

class LaunchedRun : public Launch {
 protected:
  // Starts a long run of `num` processes and waits until it has saved a step; `pids` by rank.
  std::unique_ptr<Process> start(int num, std::vector<pid_t>& pids,
                                 const std::string& shard = "optimizer") {
    std::vector<std::string> command =
        with(num, {"train", "decoder.yaml", "--resume", "--set", "train.steps=20000",
                   "distributed.timeout=1s", "evaluate.every_steps=never",
                   "distributed.shard=" + shard});
    command.insert(command.begin(), program());
    auto process = std::make_unique<Process>(directory_.path(), command);
    EXPECT_TRUE(wait_until(
        *process, [&] { return std::filesystem::exists(path("run/checkpoints/step-2")); }));
    for (const std::string& word :
         {content(cat("/proc/", process->pid(), "/task/", process->pid(), "/children"))}) {
      std::istringstream in(word);
      for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
    }
    EXPECT_EQ(pids.size(), static_cast<std::size_t>(num)) << process->err();
    return process;
  }
};

// Also of a process whose parent does not know yet.
bool has_ended(pid_t pid) {
  const std::string stat = content(cat("/proc/", pid, "/stat"));
  const std::size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || stat.substr(name_end + 2, 1) == "Z";
}

// With sharded parameters, processes wait for each other in the middle of a backward pass.
TEST_F(LaunchedRun, NamesAKilledProcess) {
  for (const std::string shard : {"optimizer", "parameters"}) {
    std::filesystem::remove_all(path("run"));
    std::vector<pid_t> pids;
    const auto process = start(3, pids, shard);
    ASSERT_EQ(pids.size(), 3u);
    ::kill(pids[1], SIGKILL);
    const double begin_s = monotonic_s();
    const Outcome outcome = process->wait();
    EXPECT_LT(monotonic_s() - begin_s, 2);
    EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
    EXPECT_NE(outcome.err.find(
                  cat("error: rank 1 (", cluster::host_name(), ", process ", pids[1], "): ended")),
              std::string::npos)
        << outcome.err;
    // The launcher knows how.
    EXPECT_NE(
        outcome.err.find(cat("error: rank 1 (process ", pids[1], "): killed by SIGKILL, as the ")),
        std::string::npos)
        << outcome.err;
    EXPECT_EQ(outcome.err.find("rank 0 ("), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("rank 2 ("), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("train --resume run"), std::string::npos) << outcome.err;
  }
}

TEST_F(LaunchedRun, NamesAHungProcess) {
  for (const std::string shard : {"optimizer", "parameters"}) {
    std::filesystem::remove_all(path("run"));
    std::vector<pid_t> pids;
    const auto process = start(3, pids, shard);
    ASSERT_EQ(pids.size(), 3u);
    ::kill(pids[2], SIGSTOP);
    const double begin_s = monotonic_s();
    const std::string expected =
        cat("rank 2 (", cluster::host_name(), ", process ", pids[2], "): no answer within 1 s");
    const auto others_have_ended = [&] { return has_ended(pids[0]) && has_ended(pids[1]); };
    while (!others_have_ended() && monotonic_s() - begin_s < 10)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_LT(monotonic_s() - begin_s, 2) << process->err();  // the time-out and 1 s
    EXPECT_NE(process->err().find(expected), std::string::npos) << process->err();
    ::kill(pids[2], SIGCONT);
    const Outcome outcome = process->wait();
    EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
  }
}

// One that hangs when another fails is killed by the launcher.
TEST_F(LaunchedRun, KillsAProcessThatDoesNotEnd) {
  std::vector<pid_t> pids;
  const auto process = start(3, pids);
  ASSERT_EQ(pids.size(), 3u);
  ::kill(pids[2], SIGSTOP);
  ::kill(pids[1], SIGKILL);
  const double begin_s = monotonic_s();
  const Outcome outcome = process->wait();
  EXPECT_GE(monotonic_s() - begin_s, 10);
  EXPECT_LT(monotonic_s() - begin_s, 15);
  EXPECT_EQ(outcome.exit_code, 76) << outcome.err;
  EXPECT_NE(outcome.err.find(cat("error: rank 2 (process ", pids[2],
                                 "): killed, because it has not ended within 10 s after another")),
            std::string::npos)
      << outcome.err;
}

// SIGTERM to any process, to the launcher, or to all, as Ctrl-C in a terminal.
TEST_F(LaunchedRun, AStopOfAnyProcessStopsAll) {
  constexpr int kLauncher = 3, kAll = 4;
  for (const int target : {0, 1, 2, kLauncher, kAll}) {
    std::filesystem::remove_all(path("run"));
    std::vector<pid_t> pids;
    const auto process = start(3, pids, target == 2 ? "parameters" : "optimizer");
    ASSERT_EQ(pids.size(), 3u);
    pids.push_back(process->pid());
    for (int i = 0; i <= kLauncher; ++i)
      if (target == i || target == kAll) ::kill(pids[static_cast<std::size_t>(i)], SIGTERM);
    const Outcome outcome = process->wait();
    EXPECT_EQ(outcome.exit_code, 75) << target << ": " << outcome.err;
    EXPECT_EQ(outcome.err.find("ended"), std::string::npos) << outcome.err;
    // Rank 0 says so, for all.
    const std::string saved =
        cat("after step ", newest_step(path("run")).value(), ", checkpoint saved");
    EXPECT_EQ(sluice::testing::count_parts(outcome.err, saved), 1u) << outcome.err;
    EXPECT_EQ(sluice::testing::count_parts(outcome.err, "checkpoint saved"), 1u) << outcome.err;
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
    const std::int64_t newest = newest_step(path("run")).value();
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

}  // namespace
}  // namespace sluice::app
