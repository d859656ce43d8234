#include "base/error.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Error, FailNamesSubjectReceivedAndExpected) {
  try {
    fail(ExitCode::kBadData, "corpus.txt", "an empty file", "text");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "corpus.txt: received an empty file; expected text");
    EXPECT_EQ(error.code(), ExitCode::kBadData);
  }
}

TEST(Error, FailWithAStatement) {
  try {
    fail(ExitCode::kIo, "a.txt", "cannot close");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "a.txt: cannot close");
  }
}

TEST(Error, RequireThrowsOnlyIfFalse) {
  EXPECT_NO_THROW(require(true, ExitCode::kUsage, "a", "b", "c"));
  EXPECT_THROW(require(false, ExitCode::kUsage, "a", "b", "c"), UserError);
  EXPECT_NO_THROW(require(true, ExitCode::kUsage, "a", "b"));
  EXPECT_THROW(require(false, ExitCode::kUsage, "a", "b"), UserError);
}

TEST(Error, InvariantThrowsInvariantError) {
  EXPECT_NO_THROW(invariant(true, "fine"));
  EXPECT_THROW(invariant(false, "broken"), InvariantError);
}

TEST(Error, ExitCodesAreAsDocumented) {
  EXPECT_EQ(static_cast<int>(ExitCode::kInternal), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kInterrupted), 75);
  EXPECT_EQ(static_cast<int>(ExitCode::kNoCheckpoint), 78);
}

// Subject, received value and expected value may contain file names or user input.
TEST(Fail, EscapesLineFeedsAndControlCharacters) {
  try {
    fail(ExitCode::kMissingInput, "a\nerror: all is lost", "\x1b[2J\x07", "not\r\n\x9b");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "a\\nerror: all is lost: received \\x1b[2J\\x07; expected not\\r\\n\\x9b");
  }
}

}  // namespace
}  // namespace sluice
