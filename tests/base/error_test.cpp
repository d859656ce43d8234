#include "base/error.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Error, FailNamesSubjectReceivedAndExpected) {
  try {
    fail(ExitCode::kBadData, "corpus.txt", "empty", "needs text");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "corpus.txt: empty; needs text");
    EXPECT_EQ(error.code(), ExitCode::kBadData);
  }
}

TEST(Error, FailWithoutExpectationEndsAfterWhatCame) {
  try {
    fail(ExitCode::kIo, "a", "b", "");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "a: b");
  }
}

TEST(Error, RequireThrowsOnlyWhenViolated) {
  EXPECT_NO_THROW(require(true, ExitCode::kUsage, "a", "b", "c"));
  EXPECT_THROW(require(false, ExitCode::kUsage, "a", "b", "c"), UserError);
}

TEST(Error, InvariantIsNoUserError) {
  EXPECT_NO_THROW(invariant(true, "fine"));
  EXPECT_THROW(invariant(false, "broken"), InvariantError);
}

TEST(Error, ExitCodesAreThoseThatAreDocumented) {
  EXPECT_EQ(static_cast<int>(ExitCode::kInternal), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kInterrupted), 75);
  EXPECT_EQ(static_cast<int>(ExitCode::kNoCheckpoint), 78);
}

// A name of a file or a value that came is part of any of the three.
TEST(Fail, IsOneLineWhateverTheNamesAre) {
  try {
    fail(ExitCode::kMissingInput, "a\nerror: all is lost", "\x1b[2J\x07", "not\r\n\x9b");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "a\\nerror: all is lost: \\x1b[2J\\x07; not\\r\\n\\x9b");
  }
}

}  // namespace
}  // namespace sluice
