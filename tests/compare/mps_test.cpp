// MPS with a script in the place of nvidia-cuda-mps-control, which records its calls.
#include "compare/mps.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/session.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// Sets variables, and restores them at the end.
class Variables {
 public:
  ~Variables() {
    for (const auto& [name, value] : before_)
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::optional<std::string>& value) {
    const char* old = std::getenv(name.c_str());
    before_.try_emplace(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

class MpsTest : public ::testing::Test {
 protected:
  MpsTest() {
    fs::create_directories(directory_ / "bin");
    // Pipes in an empty directory, so that no daemon of this machine is found.
    fs::create_directories(pipes());
    variables_.set("CUDA_MPS_PIPE_DIRECTORY", pipes().string());
    variables_.set("CUDA_MPS_LOG_DIRECTORY", std::nullopt);
    variables_.set("CUDA_VISIBLE_DEVICES", std::nullopt);
    variables_.set("TMPDIR", directory_.path().string());
    variables_.set("PATH", (directory_ / "bin").string() + ":" + std::getenv("PATH"));
    install("exit 0");
  }
  void install(const std::string& behavior) {
    const fs::path program = directory_ / "bin/nvidia-cuda-mps-control";
    std::ofstream(program) << "#!/bin/sh\nline=\"$1\"\n[ \"$1\" = -d ] || read -r line\n"
                           << "echo \"$line $CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_LOG_DIRECTORY\" >> "
                           << log().string() << "\n"
                           << behavior << "\n";
    fs::permissions(program, fs::perms::owner_all);
  }
  fs::path pipes() const { return directory_ / "pipes"; }
  fs::path log() const { return directory_ / "log"; }
  std::vector<std::string> calls() const {
    std::vector<std::string> lines;
    std::ifstream file(log());
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  std::size_t num_folders() const {
    std::size_t num = 0;
    for (const auto& entry : fs::directory_iterator(directory_.path()))
      num += entry.path().filename().string().starts_with("sluice-mps-") ? 1 : 0;
    return num;
  }

  sluice::testing::TemporaryDirectory directory_;
  Variables variables_;
};

template <class Condition>
bool comes_true(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

TEST_F(MpsTest, StartsADaemonInAPrivateDirectoryAndQuitsIt) {
  std::string folder;
  {
    const Mps mps;
    ASSERT_TRUE(mps.is_active());
    ASSERT_EQ(mps.environment().size(), 2u);
    const std::string pipe = mps.environment()[0];
    folder = pipe.substr(pipe.find('=') + 1, pipe.size() - pipe.find('=') - 3);  // without "/p"
    EXPECT_EQ(mps.environment(), (Environment{"CUDA_MPS_PIPE_DIRECTORY=" + folder + "/p",
                                              "CUDA_MPS_LOG_DIRECTORY=" + folder + "/l"}));
    struct stat status {};
    ASSERT_EQ(::stat(folder.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0700U);
    EXPECT_TRUE(fs::is_directory(folder + "/l"));
    EXPECT_EQ(calls().size(), 2u);
  }
  const std::string both = " " + folder + "/p " + folder + "/l";
  EXPECT_EQ(calls(),
            (std::vector<std::string>{"-d" + both, "get_server_list" + both, "quit" + both}));
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(MpsTest, SocketPathsStayShort) {
  const std::string deep = (directory_ / std::string(70, 'x')).string();
  fs::create_directories(deep);
  variables_.set("TMPDIR", deep);
  const Mps mps;
  ASSERT_TRUE(mps.is_active());
  EXPECT_LT((mps.environment()[0] + "/control_privileged").size(),
            108 + std::string("CUDA_MPS_PIPE_DIRECTORY=").size());
  EXPECT_TRUE(fs::is_empty(deep));
}

TEST_F(MpsTest, NamesWhyTheDaemonDoesNotWork) {
  const std::string list = R"([ "$line" != get_server_list ] || { echo "no server" >&2; exit 3; })";
  const std::pair<std::string, std::string> failures[] = {
      {R"([ "$line" != -d ] || { echo "Access denied" >&2; exit 1; })",
       "nvidia-cuda-mps-control -d: exit code 1: Access denied"},
      {list, "nvidia-cuda-mps-control (get_server_list): exit code 3: no server"}};
  for (const auto& [behavior, reason] : failures) {
    fs::remove(log());
    install(behavior);
    ::testing::internal::CaptureStderr();
    const Mps mps;
    EXPECT_FALSE(mps.is_active());
    EXPECT_TRUE(mps.environment().empty());
    EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                  "warning: no MPS, processes take turns on the GPU: " + reason),
              std::string::npos)
        << reason;
    EXPECT_TRUE(calls().back().starts_with("quit "));  // of what has started
    EXPECT_EQ(num_folders(), 0u);
  }
}

TEST_F(MpsTest, NoneWithoutTheProgram) {
  variables_.set("PATH", (directory_ / "pipes").string());
  ::testing::internal::CaptureStderr();
  const Mps mps;
  EXPECT_FALSE(mps.is_active());
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("nvidia-cuda-mps-control not found"),
            std::string::npos);
}

TEST_F(MpsTest, IndicesOfGpusAreRefusedUnlessTheyCountFromZero) {
  for (const auto& [devices, accepted] : {std::pair{"0", true},
                                          {"0,1", true},
                                          {"GPU-12ab,GPU-34cd", true},
                                          {"1", false},
                                          {"1,0", false}}) {
    variables_.set("CUDA_VISIBLE_DEVICES", devices);
    EXPECT_EQ(Mps().is_active(), accepted) << devices;
  }
}

TEST_F(MpsTest, UsesADaemonThatServesAndLeavesItAlone) {
  std::ofstream(pipes() / "control") << "";
  {
    const Mps mps;
    EXPECT_TRUE(mps.is_active());
    EXPECT_TRUE(mps.environment().empty());  // inherited
  }
  EXPECT_EQ(calls(), std::vector<std::string>{"get_server_list " + pipes().string() + " "});
  EXPECT_EQ(num_folders(), 0u);
}

TEST_F(MpsTest, SocketOfADeadDaemonIsNotUsed) {
  std::ofstream(pipes() / "control") << "";
  install("[ \"$CUDA_MPS_PIPE_DIRECTORY\" != " + pipes().string() + " ] || exit 1");
  const Mps mps;
  EXPECT_TRUE(mps.is_active());
  EXPECT_EQ(mps.environment().size(), 2u);
}

TEST_F(MpsTest, QuitsEvenIfThisProcessIsKilled) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const Mps mps;
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(comes_true([&] { return calls().size() == 3 && num_folders() == 0; }));
  EXPECT_TRUE(calls().back().starts_with("quit "));
}

// ---- whole sessions ----

class MpsSessionTest : public MpsTest {
 protected:
  MpsSessionTest() {
    options_.config = testing::two_variants({1, 2});
    options_.name = "test";
    options_.directory = directory_ / "out";
    options_.jobs = 0;
    runs_.gpu = {.name = "NVIDIA H200", .memory_bytes = 1 << 30};
    runs_.env.device = "cuda";
    runs_.before_measure = "echo \"$CUDA_MPS_PIPE_DIRECTORY\" >> " + measured().string() +
                           "; echo \"{\\\"seconds_per_step\\\": 0.1, "
                           "\\\"measured_peak_gpu_memory_bytes\\\": 1000}\"; exit";
  }
  fs::path measured() const { return directory_ / "measured"; }

  testing::FakeRuns runs_{directory_ / "fake"};
  SessionOptions options_;
};

TEST_F(MpsSessionTest, MeasuresAndRunsWithMps) {
  EXPECT_EQ(run_session(options_, runs_).num_finished, 4u);
  EXPECT_TRUE(calls().back().starts_with("quit "));
  std::ifstream file(measured());
  std::size_t num = 0;
  for (std::string line; std::getline(file, line); ++num)
    EXPECT_NE(line.find("/sluice-mps-"), std::string::npos);
  EXPECT_EQ(num, 2u + 2 + 2 * 2 + 2 * 4);  // alone, then 1, 2 and 4 at once, twice each
}

TEST_F(MpsSessionTest, MeasuresWithoutMpsIfItsClientsFail) {
  runs_.before_measure =
      "case \"$CUDA_MPS_PIPE_DIRECTORY\" in *sluice-mps*) "
      "echo \"error: MPS server failed\"; exit 1;; esac; " +
      runs_.before_measure;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_session(options_, runs_).num_finished, 4u);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "warning: measuring again without MPS: timing relu: exit code 1: error: MPS server "
                "failed"),
            std::string::npos);
}

TEST_F(MpsSessionTest, NoneForOneRunAtATimeOrACpu) {
  options_.jobs = 1;
  run_session(options_, runs_);
  options_.jobs = 2;
  options_.directory = directory_ / "cpu";
  runs_.gpu.reset();
  runs_.env.device = "cpu";
  run_session(options_, runs_);
  EXPECT_TRUE(calls().empty());
}

TEST_F(MpsSessionTest, QuitsAfterAStop) {
  options_.jobs = 2;
  for (const char* name : {"relu, seed 1", "geglu, seed 1"}) runs_.behavior[name] = "slow";
  runs_.steps = 1000;
  std::thread stopper([&] {
    comes_true([&] { return fs::exists(options_.directory / "cells"); });
    request_stop(SIGTERM);
  });
  EXPECT_TRUE(run_session(options_, runs_).interrupted);
  stopper.join();
  clear_stop();
  EXPECT_TRUE(calls().back().starts_with("quit "));
}

}  // namespace
}  // namespace sluice::compare
