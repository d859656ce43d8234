#include "base/version.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace sluice {
namespace {

TEST(Version, IsThreeNumbers) {
  EXPECT_TRUE(std::regex_match(std::string(version()), std::regex(R"(\d+\.\d+\.\d+)")))
      << version();
}

// Empty if the sources are not from git.
TEST(Version, RevisionIsSevenDigitsAndMarksDirtyTrees) {
  EXPECT_TRUE(
      std::regex_match(std::string(git_revision()), std::regex(R"(([0-9a-f]{7,}(-dirty)?)?)")))
      << git_revision();
}

}  // namespace
}  // namespace sluice
