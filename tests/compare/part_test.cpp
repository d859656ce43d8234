// Parts of the cells: which runs belong to them, what they share, and when they wait.
#include "compare/part.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <numeric>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "compare/seed_consistency.h"
#include "tests/compare/session_fixture.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::cells_like;

TEST(Part, IsReadFromTwoNumbers) {
  const auto part = parse_part("3/8");
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->number, 3U);
  EXPECT_EQ(part->count, 8U);
  EXPECT_TRUE(parse_part("10000/10000"));
  for (const char* text : {"", "/", "3", "3/", "/3", "0/3", "4/3", "a/b", "1/2/3", "-1/2", "+1/2",
                           " 1/2", "1/2 ", "1.0/2", "1/10001", "1/99999999999999999999"})
    EXPECT_FALSE(parse_part(text)) << text;
}

TEST(Part, EveryItemIsInOnePart) {
  for (const std::size_t size : {0U, 1U, 5U, 16U, 97U}) {
    std::vector<int> items(size);
    std::iota(items.begin(), items.end(), 0);
    for (const std::size_t count : {1U, 2U, 7U, 16U, 100U}) {
      std::vector<int> all;
      for (std::size_t number = 1; number <= count; ++number) {
        const Part part{number, count};
        const auto slice = slice_of<int>(items, part);
        EXPECT_LE(slice.size(), longest_part(size, part));
        EXPECT_GE(slice.size() + 1, longest_part(size, part));
        all.insert(all.end(), slice.begin(), slice.end());
      }
      EXPECT_EQ(all, items) << size << " in " << count;
    }
  }
}

class PartOfSession : public SessionTest {
 protected:
  PartOfSession() { options_.config = testing::two_variants({1, 2, 3}); }
  Tally run_part(std::size_t number, std::size_t count) {
    options_.part = Part{number, count};
    return run();
  }
  std::string comparison_file() const { return read_file(options_.directory / "comparison.json"); }
  void tune() {
    options_.config.tune = TuneConfig{
        .grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}}, .seeds = {101, 102}};
  }
  // What a session for all cells writes.
  std::string file_of_whole_session() {
    SessionOptions whole = options_;
    whole.part.reset();
    whole.directory = directory_ / "whole";
    run_session(whole, runs_);
    return read_file(whole.directory / "comparison.json");
  }
  std::size_t starts_in(const fs::path& folder) const {
    std::size_t sum = 0;
    for (const fs::path& cell : cells_like(options_.directory / folder, ""))
      sum += testing::num_starts(cell);
    return sum;
  }
};

TEST_F(PartOfSession, PartsTogetherAreTheComparison) {
  const std::string whole = file_of_whole_session();
  EXPECT_EQ(run_part(2, 4).num_finished, 2U);  // cells 2 and 3 of 6
  EXPECT_EQ(starts("relu-seed-1-"), 0U);
  EXPECT_EQ(starts("geglu-seed-1-"), 1U);
  EXPECT_EQ(num_with(report(), report::CellState::kWaiting), 4U);
  for (const std::size_t number : {4U, 3U, 1U}) run_part(number, 4);
  EXPECT_EQ(num_with(report(), report::CellState::kFinished), 6U);
  EXPECT_EQ(starts(""), 6U);
  EXPECT_EQ(comparison_file(), whole);
  EXPECT_EQ(run_part(1, 4).num_finished, 1U);  // again
  EXPECT_EQ(run_part(9, 9).num_finished, 1U);  // another division
  EXPECT_EQ(starts(""), 6U);
}

TEST_F(PartOfSession, MayBeEmpty) {
  EXPECT_EQ(run_part(1, 100).num_finished, 0U);
  EXPECT_FALSE(fs::exists(options_.directory / "cells"));
  EXPECT_EQ(num_with(report(), report::CellState::kWaiting), 6U);
}

// Six cells in three parts: each seed stays on one machine.
TEST_F(PartOfSession, KeepsTheRunsOfASeedTogether) {
  for (const int seed : {1, 2, 3}) {
    runs_.env.cpu = "Fake " + std::to_string(seed);
    EXPECT_EQ(run_part(static_cast<std::size_t>(seed), 3).num_finished, 2U);
  }
  EXPECT_EQ(starts(""), 6U);
}

// One after the other, as on a cluster that runs one task at a time: none waits for another.
TEST_F(PartOfSession, TunesWhatItsRunsNeed) {
  tune();
  runs_.log_perplexity = {{"relu, 3e-3, seed 101", 2.0}, {"geglu, 1e-3, seed 102", 2.5}};
  const std::string whole = file_of_whole_session();
  EXPECT_FALSE(run_part(3, 3).interrupted);
  // All eight tuning runs, because its seed has both variants.
  EXPECT_EQ(starts_in("tune"), 8U);
  EXPECT_EQ(starts(""), 2U);
  run_part(1, 3);
  run_part(2, 3);
  EXPECT_EQ(starts_in("tune"), 8U);
  EXPECT_EQ(starts(""), 6U);
  EXPECT_EQ(comparison_file(), whole);
}

// With more parts than runs, some only tune.
TEST_F(PartOfSession, TunesItsShareFirst) {
  tune();
  options_.config.seeds = {1};
  EXPECT_EQ(run_part(1, 8).num_finished, 1U);  // of eight tuning runs, and no other
  EXPECT_EQ(starts_in("tune"), 1U);
  EXPECT_EQ(run_part(8, 8).num_finished, 1U + 3U + 1U);  // its own, what geglu needs, and geglu
  EXPECT_EQ(starts_in("tune"), 5U);
}

TEST_F(PartOfSession, WaitsForARunOfAnotherPart) {
  run_part(1, 6);
  const fs::path cell = cells_like(options_.directory / "cells", "relu-seed-1-").at(0);
  fs::remove_all(cell / "run");
  auto lock = try_lock(cell);
  ASSERT_TRUE(lock);
  std::thread other([&] {
    std::this_thread::sleep_for(700ms);
    lock.reset();
  });
  const double begin_s = monotonic_s();
  ::testing::internal::CaptureStderr();
  const Tally tally = run_part(1, 2);  // relu and geglu of seed 1, relu of seed 2
  const std::string log = ::testing::internal::GetCapturedStderr();
  other.join();
  EXPECT_GE(monotonic_s() - begin_s, 0.7);
  EXPECT_EQ(tally.num_finished, 3U);
  EXPECT_EQ(testing::num_starts(cell), 1U);
  EXPECT_NE(log.find("waiting for 1 run of other parts: relu, seed 1 is in use by pid "),
            std::string::npos)
      << log;
}

TEST_F(PartOfSession, StopsWhileItWaits) {
  run_part(1, 6);
  const fs::path cell = cells_like(options_.directory / "cells", "relu-seed-1-").at(0);
  fs::remove_all(cell / "run");
  const auto lock = try_lock(cell);
  std::thread other([] {
    std::this_thread::sleep_for(300ms);
    request_stop(SIGTERM);
  });
  const Tally tally = run_part(1, 6);
  other.join();
  EXPECT_TRUE(tally.interrupted);
  EXPECT_EQ(tally.num_waiting, 1U);
  EXPECT_EQ(testing::num_starts(cell), 0U);
}

TEST_F(PartOfSession, ExcludesASessionForAllCells) {
  fs::create_directories(options_.directory);
  std::optional<store::RunLock> part(std::in_place, options_.directory,
                                     store::RunLock::Mode::kShared);
  EXPECT_NE(refusal().find("in use by one or more processes, the last to start being pid "),
            std::string::npos);
  EXPECT_EQ(run_part(1, 6).num_finished, 1U);  // beside the other
  part.reset();
  const store::RunLock whole(options_.directory);
  EXPECT_NE(refusal().find("in use by pid "), std::string::npos);
}

// A run of another part counts as soon as it starts: here without a step, but locked.
TEST_F(PartOfSession, RejectsAnotherMachineWithinASeed) {
  run_part(1, 6);
  const fs::path directory = cells_like(options_.directory / "cells", "relu-seed-1-").at(0);
  fs::remove_all(directory / "run");
  auto record = read_record(directory / "cell.json").value();
  record.state = CellState::kStarted;
  write_record(record, directory / "cell.json");
  runs_.env.cpu = "Fake 100";
  {
    const auto lock = try_lock(directory);
    ::testing::internal::CaptureStderr();
    const Tally tally = run_part(2, 6);  // geglu, seed 1
    ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(tally.num_finished, 0U);
    EXPECT_NE(tally.conflict.find("seed 1: 1 run used Fake 9000, 1 thread, cpu, fp32, but this "
                                  "session would use Fake 100"),
              std::string::npos)
        << tally.conflict;
    EXPECT_EQ(starts("geglu-seed-1-"), 0U);
  }
  EXPECT_EQ(run_part(2, 6).num_finished, 1U);  // the other part died before its first step
}

TEST_F(PartOfSession, RepeatsAFailedRunOnce) {
  tune();
  options_.config.seeds = {1};
  runs_.behavior = {{"relu, 3e-3, seed 101", "crash"}};
  const Tally tally = run_part(1, 1);
  EXPECT_EQ(tally.num_failed, 1U);
  EXPECT_EQ(tally.num_waiting, 1U);  // relu cannot be tuned
  EXPECT_EQ(starts_in("tune"), 8U);
}

}  // namespace
}  // namespace sluice::compare
