#include "base/home.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace sluice {
namespace {

TEST(Home, ExpandsOnlyALeadingTilde) {
  ASSERT_EQ(::setenv("HOME", "/home/someone", 1), 0);
  EXPECT_EQ(expand_home("run.dir", "~/x"), "/home/someone/x");
  EXPECT_EQ(expand_home("run.dir", "~"), "/home/someone");
  for (const char* same : {"runs/x", "/~/x", "./~/x", "a~/b", ""})
    EXPECT_EQ(expand_home("run.dir", same), same);
  ASSERT_EQ(::unsetenv("HOME"), 0);
  EXPECT_NE(expand_home("run.dir", "~/x").find("/x"), std::string::npos) << "from the passwd entry";
}

TEST(Home, RejectsAnotherUsersHome) {
  for (const char* other : {"~root/x", "~x"}) {
    try {
      expand_home("corpus.train", other);
      ADD_FAILURE() << other;
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      const std::string what = error.what();
      EXPECT_NE(what.find("corpus.train"), std::string::npos) << what;
      EXPECT_NE(what.find(std::string("./") + other), std::string::npos) << what;
    }
  }
}

}  // namespace
}  // namespace sluice
