#include "base/shell.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace sluice {
namespace {

// The word as parsed by bash.
std::string read_back(const std::string& word) {
  const std::string command =
      "exec bash -c \"$(cat <<'END_OF_WORD'\nprintf '%s.' " + word + "\nEND_OF_WORD\n)\"";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string out;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
  ::pclose(pipe);
  if (!out.empty()) out.pop_back();
  return out;
}

TEST(Shell, QuotedWordsRoundTrip) {
  EXPECT_EQ(shell_word("runs/a-b_c.1"), "runs/a-b_c.1");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my runs/x"), "'my runs/x'");
  for (const std::string word : {"it's", "$HOME `x` \"y\" \\", "caf\xC3\xA9", "two\nlines",
                                 "\x1b[31m", "caf\xE9 d'or\\", "a;b&c|d>e*?", "!x", "#"}) {
    const std::string quoted = shell_word(word);
    EXPECT_EQ(read_back(quoted), word) << quoted;
    for (const char c : quoted) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20) << quoted;
  }
}

TEST(Shell, PathsAreNotTakenForOptions) {
  EXPECT_EQ(shell_path("-x"), "./-x");
  EXPECT_EQ(shell_path("--my run"), "'./--my run'");
  EXPECT_EQ(shell_path("runs/-x"), "runs/-x");
}

TEST(Shell, ProgramIsQuotedAsInvoked) {
  EXPECT_EQ(shell_program("build/sluice"), "build/sluice");
  EXPECT_EQ(shell_program("my build/sluice"), "'my build/sluice'");
  EXPECT_EQ(shell_program(""), "sluice");
  EXPECT_EQ(shell_program("/proc/self/exe").find("/proc/"), std::string::npos);
}

}  // namespace
}  // namespace sluice
