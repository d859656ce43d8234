#include "base/rendezvous.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/signals.h"
#include "tests/base/temporary_directory.h"

namespace sluice {
namespace {

constexpr const char* kName = "SLUICE_RENDEZVOUS";

std::optional<Rendezvous> with_value(const std::string& value) {
  ::setenv(kName, value.c_str(), 1);
  const auto made = Rendezvous::from_environment();
  ::unsetenv(kName);
  return made;
}

std::optional<Rendezvous> of_two(const std::filesystem::path& directory) {
  const std::string variable = Rendezvous::variable(2, 0.25, directory);
  return with_value(variable.substr(variable.find('=') + 1));
}

TEST(Rendezvous, MeetsWhenAllHaveArrived) {
  const testing::TemporaryDirectory folder;
  const std::filesystem::path directory = folder / "with a blank";
  std::filesystem::create_directory(directory);
  const auto one = of_two(directory);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->seconds(), 0.25);
  one->arrive("ready");
  one->arrive("ready");  // counts once
  EXPECT_FALSE(one->is_complete("ready"));
  std::thread other([&] { std::ofstream(directory / "ready-0"); });
  one->meet("ready");
  other.join();
  EXPECT_TRUE(one->is_complete("ready"));
  EXPECT_FALSE(one->is_complete("timed"));
}

TEST(Rendezvous, ThreadsOfOneProcessCountSeparately) {
  const testing::TemporaryDirectory folder;
  const auto both = of_two(folder.path());
  ASSERT_TRUE(both);
  std::thread one([&] { both->meet("ready"); }), other([&] { both->meet("ready"); });
  one.join();
  other.join();
  EXPECT_TRUE(both->is_complete("ready"));
}

TEST(Rendezvous, StopEndsTheWait) {
  const testing::TemporaryDirectory folder;
  const auto one = of_two(folder.path());
  ASSERT_TRUE(one);
  request_stop(SIGTERM);
  EXPECT_THROW(one->meet("ready"), UserError);
  clear_stop();
}

TEST(Rendezvous, NoneWithoutAValidVariable) {
  ::unsetenv(kName);
  EXPECT_FALSE(Rendezvous::from_environment());
  for (const char* value : {"", "2", "2 0", "0 0 /tmp", "x 0 /tmp"})
    EXPECT_FALSE(with_value(value)) << value;
}

}  // namespace
}  // namespace sluice
