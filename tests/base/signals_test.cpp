#include "base/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"

namespace sluice {
namespace {

struct Row {
  int number;
  std::string_view name;

  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class Signals : public ::testing::TestWithParam<Row> {
 protected:
  // Resets the inherited disposition.
  void SetUp() override { std::signal(GetParam().number, SIG_DFL); }
  void TearDown() override { clear_stop(); }
};

TEST_P(Signals, AreRememberedByName) {
  install_signal_handlers();
  EXPECT_FALSE(stop_requested());
  EXPECT_NO_THROW(throw_if_stopped("training"));
  std::raise(GetParam().number);
  EXPECT_TRUE(stop_requested());
  EXPECT_EQ(stop_signal(), GetParam().name);
  try {
    throw_if_stopped("training");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kInterrupted);
    EXPECT_EQ(std::string(error.what()), "training: interrupted by " +
                                             std::string(GetParam().name) +
                                             "; run again to continue (train: with --resume)");
  }
}

TEST_P(Signals, ALaterSecondSignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto twice = [] {
    install_signal_handlers();
    std::raise(SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(kStopEcho_ms + 20));
    std::raise(GetParam().number);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(128 + GetParam().number), "");
}

// A job manager signals all processes of a job, and a parent forwards its own signal.
TEST_P(Signals, AnEchoIsIgnored) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto echoed = [] {
    install_signal_handlers();
    std::raise(GetParam().number);
    std::raise(GetParam().number);
    std::raise(SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(kStopEcho_ms + 20));
    forward_stop(::getpid(), GetParam().number);  // at any later time
    ::_exit(stop_signal_number() == GetParam().number ? 3 : 4);
  };
  EXPECT_EXIT(echoed(), ::testing::ExitedWithCode(3), "");
}

TEST_P(Signals, AForwardedSignalAloneIsARequest) {
  install_signal_handlers();
  EXPECT_TRUE(forward_stop(::getpid(), GetParam().number));
  EXPECT_EQ(stop_signal_number(), GetParam().number);
}

// As under nohup or, for any signal, after `trap '' TERM` in a shell.
TEST_P(Signals, AnIgnoredSignalStaysIgnored) {
  std::signal(GetParam().number, SIG_IGN);
  install_signal_handlers();
  EXPECT_TRUE(is_ignored(GetParam().number));
  std::raise(GetParam().number);
  EXPECT_FALSE(stop_requested());
  std::signal(GetParam().number, SIG_DFL);
  install_signal_handlers();
  EXPECT_FALSE(is_ignored(GetParam().number));
}

TEST_P(Signals, ABlockedSignalIsUnblocked) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, GetParam().number);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
  std::raise(GetParam().number);
  install_signal_handlers();
  EXPECT_TRUE(stop_requested());
}

INSTANTIATE_TEST_SUITE_P(All, Signals,
                         ::testing::Values(Row{SIGINT, "SIGINT"}, Row{SIGTERM, "SIGTERM"},
                                           Row{SIGHUP, "SIGHUP"}, Row{SIGUSR1, "SIGUSR1"}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Stop, CanBeRequestedAndCleared) {
  request_stop(SIGINT);
  EXPECT_TRUE(stop_requested());
  clear_stop();
  EXPECT_FALSE(stop_requested());
  EXPECT_EQ(stop_signal(), "");
}

}  // namespace
}  // namespace sluice
