// Whether the runs of a session are processes or threads of one, with a script for that one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "compare/session.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

class RunsInTest : public ::testing::Test {
 protected:
  // No MPS daemon, and a program that cannot start one.
  RunsInTest() {
    ::setenv("CUDA_MPS_PIPE_DIRECTORY", (directory_ / "none").c_str(), 1);
    const std::filesystem::path program = directory_ / "bin/nvidia-cuda-mps-control";
    real_files().create_directories(program.parent_path());
    real_files().write_atomically(program, "#!/bin/sh\necho refused\nexit 1\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    ::setenv("PATH", (program.parent_path().string() + ":" + path_).c_str(), 1);
    options_.config = testing::two_variants({1, 2});
    options_.name = "test";
    options_.command = "sluice compare x.yaml";
    options_.directory = directory_ / "out";
  }
  ~RunsInTest() override {
    ::unsetenv("CUDA_MPS_PIPE_DIRECTORY");
    ::setenv("PATH", path_.c_str(), 1);
  }
  Tally run() { return run_session(options_, runs_); }

  std::string path_ = std::getenv("PATH");
  sluice::testing::TemporaryDirectory directory_;
  testing::FakeRuns runs_{directory_ / "fake"};
  SessionOptions options_;
};

TEST_F(RunsInTest, RunsInThreadsIfAsked) {
  options_.jobs = 2;
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(runs_.num_workers(), 0U);  // on a CPU, one process per run
  options_.directory = directory_ / "threads";
  options_.runs_in = RunsIn::kThreads;
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(runs_.num_workers(), 1U);
}

TEST_F(RunsInTest, RunsInThreadsOnAGpuWithoutMps) {
  runs_.gpu = GpuFacts{.name = "Fake", .memory_bytes = 1 << 30};
  options_.jobs = 2;
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(runs_.num_workers(), 1U);
  options_.directory = directory_ / "processes";
  options_.runs_in = RunsIn::kProcesses;
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(runs_.num_workers(), 1U);
  options_.directory = directory_ / "many";
  options_.runs_in = RunsIn::kThreads;
  options_.jobs = 33;  // each needs a stream
  try {
    run();
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(
        error.what(),
        "--jobs: received 33 with runs as threads of one process; expected at most 32 on a "
        "GPU, or --runs-in processes");
  }
}

// Alone for the memory of both variants, then twice each for one and two runs at once.
TEST_F(RunsInTest, JobsOfAGpuAreMeasuredAsTheyWillRun) {
  runs_.gpu = GpuFacts{.name = "Fake", .memory_bytes = 1 << 30};
  runs_.measured = "{\"seconds_per_step\": 0.1, \"measured_peak_gpu_memory_bytes\": 400000000}";
  options_.jobs = 0;
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(runs_.num_workers(), 2U + 2 + 2 + 1);
  EXPECT_NE(read_file(options_.directory / "jobs.json").find("threads of one process"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::compare
