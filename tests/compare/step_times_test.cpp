#include "compare/step_times.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/error.h"
#include "base/signals.h"
#include "tests/base/temporary_directory.h"

namespace sluice::compare {
namespace {

TimingTask prints(const std::string& key, const std::string& seconds) {
  return {.key = key,
          .label = key,
          .command = {"/bin/sh", "-c",
                      "echo warming >&2; echo '{\"seconds_per_step\": " + seconds + "}'"}};
}

TEST(StepTimes, EqualTimeRoundsDown) {
  EXPECT_EQ(steps_in_equal_time(1000, 0.1, 0.1), 1000);
  EXPECT_EQ(steps_in_equal_time(1000, 0.1, 0.15), 666);
  EXPECT_EQ(steps_in_equal_time(1000, 0.25, 0.125), 2000);
  EXPECT_EQ(steps_in_equal_time(3, 0.001, 10), 1);
}

TEST(StepTimes, RoundsAlternateDirectionAndTheLowestCounts) {
  std::vector<std::size_t> order;
  const auto times = measure_interleaved(3, [&](std::size_t i) {
    order.push_back(i);
    const std::size_t round = (order.size() - 1) / 3;
    return round < 3 ? 100.0 - static_cast<double>(round)
                     : static_cast<double>(10 * (i + 1) + round);
  });
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2}));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(times[i].lowest_s, 10.0 * (i + 1) + 3);
    EXPECT_EQ(times[i].second_s, 10.0 * (i + 1) + 4);
  }
}

TEST(StepTimes, LowestReadingNeedsASecondOneCloseBy) {
  EXPECT_TRUE((StepTime{.lowest_s = 0.1, .second_s = 0.125}).is_steady());
  EXPECT_FALSE((StepTime{.lowest_s = 0.1, .second_s = 0.126}).is_steady());
}

// A job manager may signal the child first. This is not an error of the configuration.
TEST(StepTimes, ChildTerminatedByASignalIsAnInterruption) {
  const sluice::testing::TemporaryDirectory directory;
  for (const std::string end : {"kill -TERM $$", "kill -HUP $$", "exit 75"}) {
    try {
      measure_step_s({.key = "a", .label = "geglu", .command = {"/bin/sh", "-c", end}}, 1,
                     directory.path());
      FAIL() << end;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kInterrupted) << end << ": " << error.what();
    }
  }
}

// Each of the two ends only after both have received the signal.
TEST(StepTimes, StopIsForwardedToAllAtOnce) {
  const sluice::testing::TemporaryDirectory directory;
  const auto file = [&](const char* name) { return (directory.path() / name).string(); };
  const auto until_both = [&](const char* name) {
    return "echo >> " + file(name) + "; while [ $(wc -l < " + file(name) +
           ") -lt 2 ]; do sleep 0.02; done";
  };
  const std::string script = "trap '" + until_both("asked") + "; exit 75' TERM; echo >> " +
                             file("ready") + "; while :; do sleep 0.02; done";
  std::thread stopper([&] {
    const auto num_ready = [&] {
      std::ifstream ready(file("ready"));
      return std::count(std::istreambuf_iterator<char>(ready), {}, '\n');
    };
    while (num_ready() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    request_stop(SIGTERM);
  });
  EXPECT_THROW(measure_step_s({.key = "a", .label = "geglu", .command = {"/bin/sh", "-c", script}},
                              2, directory.path()),
               UserError);
  stopper.join();
  clear_stop();
}

// Readings of 0.1, 0.2, 0.3, ... s: no two are close.
TEST(StepTimes, BusyMachineIsAnErrorAndNothingIsSaved) {
  const sluice::testing::TemporaryDirectory directory;
  TimingTask busy{.key = "b", .label = "geglu"};
  const std::string file = (directory.path() / "tenths").string();
  busy.command = {
      "/bin/sh", "-c",
      "echo >> " + file + "; echo '{\"seconds_per_step\": 0.'$(wc -l < " + file + ")'}'"};
  const std::vector<TimingTask> variants{prints("a", "0.1"), busy};
  try {
    step_times(variants, 0, directory.path());
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(),
                 "compare.equalize: the machine is busy: the two fastest of 5 readings for geglu "
                 "are 0.1 and 0.2 s per step; step times not saved, retry on an otherwise idle "
                 "machine");
  }
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "step_times.json"));
}

TEST(StepTimes, MeasuredTimesAreSaved) {
  const sluice::testing::TemporaryDirectory directory;
  const std::vector<TimingTask> first{prints("a", "0.1"), prints("b", "0.2")};
  EXPECT_EQ(step_times(first, 0, directory.path()), (std::vector<double>{0.1, 0.2}));
  const std::vector<TimingTask> later{prints("a", "0.2"), prints("b", "9"), prints("c", "0.5")};
  const auto times = step_times(later, 0, directory.path());
  EXPECT_EQ(times[0], 0.1);
  EXPECT_EQ(times[1], 0.2);
  EXPECT_DOUBLE_EQ(times[2], 0.25);
}

TEST(StepTimes, NamesTheDamagedFile) {
  const sluice::testing::TemporaryDirectory directory;
  for (const char* text : {"[]", R"({"a": 3})", R"({"a": {}})", R"({"a": {"seconds_per_step": 0}})",
                           R"({"a": {"seconds_per_step": "1"}})"}) {
    std::ofstream(directory.path() / "step_times.json") << text;
    try {
      known_step_times(directory.path());
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      EXPECT_NE(std::string(error.what()).find("delete it to measure again"), std::string::npos);
    }
  }
}

// Readings of 0.1, 0.2, 0.3, ... s.
TEST(StepTimes, JobsMeasuredOnABusyMachineAreNotSaved) {
  const sluice::testing::TemporaryDirectory directory;
  const std::string file = (directory.path() / "tenths").string();
  const auto timed = [&](int) {
    return TimingTask{
        .key = "b",
        .label = "geglu",
        .command = {
            "/bin/sh", "-c",
            "echo >> " + file + "; echo '{\"seconds_per_step\": 0.'$(wc -l < " + file + ")'}'"}};
  };
  EXPECT_GE(choose_jobs(2, 40, timed, directory.path()), 1);
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "jobs.json"));
}

TEST(StepTimes, ReportsWhyTheCommandFailed) {
  const sluice::testing::TemporaryDirectory directory;
  const TimingTask broken{.key = "x",
                          .label = "relu",
                          .command = {"/bin/sh", "-c", "echo 'error: no such device'; exit 2"}};
  try {
    measure_step_s(broken, 1, directory.path());
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "timing relu: exit code 2: error: no such device");
  }
}

TEST(StepTimes, ChoosesTheJobsWithTheHighestThroughput) {
  const sluice::testing::TemporaryDirectory directory;
  std::vector<int> asked;
  const auto timed = [&](int threads) {
    asked.push_back(threads);
    // 1, 1.33, 1 steps per second in total
    return prints("t", threads == 4 ? "1.0" : threads == 2 ? "1.5" : "4.0");
  };
  EXPECT_EQ(choose_jobs(4, 40, timed, directory.path()), 2);
  EXPECT_EQ(asked.size(), 15U);
  EXPECT_EQ(choose_jobs(4, 40, timed, directory.path()), 2);
  EXPECT_EQ(asked.size(), 15U);  // saved
  EXPECT_EQ(choose_jobs(1, 40, timed, directory.path()), 1);
  std::ofstream(directory.path() / "jobs.json") << "nonsense";
  EXPECT_THROW(choose_jobs(4, 40, timed, directory.path()), UserError);
}

}  // namespace
}  // namespace sluice::compare
