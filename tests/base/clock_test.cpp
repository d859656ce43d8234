#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>
#include <regex>

namespace sluice {
namespace {

TEST(Clock, MonotonicTimeNeverDecreases) {
  const double first = monotonic_s();
  EXPECT_GE(monotonic_s(), first);
}

TEST(Clock, TimestampIsUtcInIso8601) {
  const std::string text = utc_timestamp();
  ASSERT_TRUE(std::regex_match(text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"))) << text;
  std::tm parsed{};
  ASSERT_NE(strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parsed), nullptr);
  EXPECT_NEAR(static_cast<double>(timegm(&parsed)), static_cast<double>(std::time(nullptr)), 2);
}

}  // namespace
}  // namespace sluice
