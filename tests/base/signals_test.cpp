#include "base/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <ostream>
#include <string>
#include <string_view>

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
    EXPECT_EQ(std::string(error.what()),
              "training: interrupted by " + std::string(GetParam().name) + "; run it again to go on (train: with --resume)");
  }
}

TEST_P(Signals, TheSecondEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto twice = [] {
    install_signal_handlers();
    std::raise(SIGTERM);
    std::raise(GetParam().number);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(128 + GetParam().number), "");
}

INSTANTIATE_TEST_SUITE_P(All, Signals, ::testing::Values(Row{SIGINT, "SIGINT"}, Row{SIGTERM, "SIGTERM"}, Row{SIGUSR1, "SIGUSR1"}),
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
