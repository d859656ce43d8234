#include <gtest/gtest.h>

#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"
#include "text/documents.h"

namespace sluice::text {
namespace {

using sluice::testing::message_of;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

class Paths : public ::testing::Test {
 protected:
  Paths() {
    for (const char* name : {"b.txt", "a.txt", "c.md", ".hidden", "sub/d.txt", "sub/deep/e.txt", ".git/f.txt", "odd[1].txt"})
      write_text(folder_ / name, "x");
    std::filesystem::create_directories(folder_ / "empty");
  }
  std::vector<std::string> names(const std::vector<std::string>& patterns) {
    std::vector<std::string> absolute, found;
    for (const std::string& pattern : patterns) absolute.push_back((folder_ / pattern).string());
    for (const auto& path : expand_paths(absolute, "corpus.train")) found.push_back(path.lexically_relative(folder_.path()).string());
    return found;
  }
  using Names = std::vector<std::string>;
  TemporaryDirectory folder_;
};

TEST_F(Paths, FilesGlobsAndDirectoriesSortedWithoutRepetition) {
  EXPECT_EQ(names({"b.txt", "a.txt", "b.txt"}), (Names{"a.txt", "b.txt"}));
  EXPECT_EQ(names({"?.txt", "./sub/../a.txt"}), (Names{"a.txt", "b.txt"}));
  EXPECT_EQ(names({"sub"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"s*"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"."}), (Names{"a.txt", "b.txt", "c.md", "odd[1].txt", "sub/d.txt", "sub/deep/e.txt"}));
}

TEST_F(Paths, NamesBeforePatternsAndHiddenFilesWhenNamed) {
  EXPECT_EQ(names({"odd[1].txt"}), (Names{"odd[1].txt"}));
  EXPECT_EQ(names({".hidden"}), (Names{".hidden"}));
}

TEST_F(Paths, WhatNamesNothingIsRefused) {
  for (const char* pattern : {"no.txt", "*.json", "empty"}) {
    const std::string message = message_of(ExitCode::kMissingInput, [&] { names({"a.txt", pattern}); });
    EXPECT_NE(message.find("corpus.train"), std::string::npos);
    EXPECT_NE(message.find(pattern), std::string::npos);
  }
  EXPECT_TRUE(expand_paths({}, "corpus.valid").empty());
}

TEST_F(Paths, CirclesOfLinksEnd) {
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "sub/loop");
  EXPECT_FALSE(names({"sub"}).empty());
}

}  // namespace
}  // namespace sluice::text
