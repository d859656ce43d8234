// The number of runs that share a GPU, measured with shell scripts.
#include "compare/gpu_jobs.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "tests/base/temporary_directory.h"

namespace sluice::compare {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

class GpuJobsTest : public ::testing::Test {
 protected:
  // A process that takes SECONDS[number of processes] per step.
  std::function<TimingTask(int)> variant(const std::string& name, std::uint64_t peak_bytes) {
    return [=, this](int threads) {
      // SLUICE_RENDEZVOUS is "NUMBER SECONDS DIRECTORY".
      std::string script = cat("num=${SLUICE_RENDEZVOUS%% *}; echo ", name, " $num ", threads,
                               " $SLUICE_RENDEZVOUS $EXTRA >> ", log().string(), "; case $num in ");
      for (const auto& [num, seconds] : seconds_) script += cat(num, ") s=", seconds, ";; ");
      script += cat("*) echo \"error: out of memory\"; exit 74;; esac; ",
                    "echo \"{\\\"seconds_per_step\\\": $s, ",
                    "\\\"measured_peak_gpu_memory_bytes\\\": ", peak_bytes, "}\"");
      return TimingTask{.key = name, .label = name, .command = {"/bin/sh", "-c", script}};
    };
  }
  std::filesystem::path log() const { return directory_ / "log"; }
  // Number of processes per call, in order, of the variant.
  std::map<std::string, std::size_t> starts() const {
    std::map<std::string, std::size_t> counts;
    std::ifstream file(log());
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string name, num;
      words >> name >> num;
      ++counts[name + " " + num];
    }
    return counts;
  }
  int choose(std::uint64_t peak_bytes, std::size_t max_jobs = 64) {
    const std::vector<std::function<TimingTask(int)>> variants{variant("a", peak_bytes / 2),
                                                               variant("b", peak_bytes)};
    return choose_gpu_jobs(gpu_, 4, max_jobs, variants, directory_.path());
  }

  sluice::testing::TemporaryDirectory directory_;
  SharedGpu gpu_{.name = "NVIDIA H200", .memory_bytes = 100 * kGiB};
  std::map<int, double> seconds_{{1, 1.0}, {2, 1.0}, {4, 1.0}, {8, 1.9}, {16, 1.0}};
};

// 1, 2, 4, then 4.2 steps per second: the last doubling gains less than a tenth.
TEST_F(GpuJobsTest, StopsWhenDoublingGainsLittle) {
  EXPECT_EQ(choose(kGiB), 4);
  const auto counts = starts();
  EXPECT_EQ(counts.at("a 1"), 1u);      // its memory
  EXPECT_EQ(counts.at("b 1"), 1u + 2);  // its memory, and two readings
  EXPECT_EQ(counts.at("b 8"), 2u * 8);
  EXPECT_FALSE(counts.contains("b 16"));
  EXPECT_FALSE(counts.contains("a 2"));  // the variant with the largest memory is timed
}

TEST_F(GpuJobsTest, NoMoreThanFitIntoMemory) {
  EXPECT_EQ(fitting_jobs(30 * kGiB, 100 * kGiB), 3);
  EXPECT_EQ(fitting_jobs(45 * kGiB, 100 * kGiB), 2);  // 90 % of the card
  EXPECT_EQ(fitting_jobs(46 * kGiB, 100 * kGiB), 1);
  EXPECT_EQ(fitting_jobs(200 * kGiB, 100 * kGiB), 1);
  EXPECT_EQ(fitting_jobs(1, 100 * kGiB), kMaxGpuJobs);
  EXPECT_EQ(choose(30 * kGiB), 2);
  EXPECT_FALSE(starts().contains("b 4"));
}

TEST_F(GpuJobsTest, NoMoreThanTheCells) {
  EXPECT_EQ(choose(kGiB, 3), 2);
  EXPECT_FALSE(starts().contains("b 4"));
}

TEST_F(GpuJobsTest, EachProcessHasItsShareOfThreadsAndOneMeeting) {
  gpu_.environment = {"EXTRA=mps"};
  choose(kGiB);
  std::ifstream file(log());
  std::map<std::string, std::string> threads;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, num, share, again, seconds, directory, extra;
    words >> name >> num >> share >> again >> seconds >> directory >> extra;
    threads[num] = share;
    EXPECT_EQ(seconds, "2");
    EXPECT_EQ(directory, (directory_ / "measured/rendezvous").string());
    EXPECT_EQ(extra, "mps");
  }
  EXPECT_EQ(threads,
            (std::map<std::string, std::string>{{"1", "4"}, {"2", "2"}, {"4", "1"}, {"8", "1"}}));
}

TEST_F(GpuJobsTest, SavedByCardUseOfMpsAndVariants) {
  EXPECT_EQ(choose(kGiB), 4);
  const std::string text = read_file(directory_ / "jobs.json");
  EXPECT_NE(text.find("NVIDIA H200, 100 GiB, without MPS, "), std::string::npos) << text;
  seconds_ = {};  // another measurement would fail
  EXPECT_EQ(choose(kGiB), 4);
  gpu_.has_mps = true;
  EXPECT_THROW(choose(kGiB), UserError);
  gpu_.has_mps = false;
  const std::vector<std::function<TimingTask(int)>> others{variant("c", kGiB)};
  EXPECT_THROW(choose_gpu_jobs(gpu_, 4, 64, others, directory_.path()), UserError);
  gpu_ = {.name = "NVIDIA H100", .memory_bytes = gpu_.memory_bytes};
  EXPECT_THROW(choose(kGiB), UserError);
}

TEST_F(GpuJobsTest, FailureOfMoreProcessesEndsTheSearch) {
  seconds_.erase(4);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(choose(kGiB), 2);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "4 runs at once fail: timing b: exit code 74: error: out of memory"),
            std::string::npos);
}

TEST_F(GpuJobsTest, OutputWithoutMemoryIsAnError) {
  try {
    choose(0);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "timing a: no peak of GPU memory in the output of plan --measure");
  }
}

}  // namespace
}  // namespace sluice::compare
