#include <gtest/gtest.h>
#include <sys/stat.h>

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
    for (const char* name : {"b.txt", "a.txt", "c.md", ".hidden", "sub/d.txt", "sub/deep/e.txt",
                             ".git/f.txt", "odd[1].txt"})
      write_text(folder_ / name, "x");
    std::filesystem::create_directories(folder_ / "empty");
  }
  std::vector<std::string> names(const std::vector<std::string>& patterns) {
    std::vector<std::string> absolute, found;
    for (const std::string& pattern : patterns) absolute.push_back((folder_ / pattern).string());
    for (const auto& path : expand_paths(absolute, "corpus.train"))
      found.push_back(path.lexically_relative(folder_.path()).string());
    return found;
  }
  using Names = std::vector<std::string>;
  TemporaryDirectory folder_;
};

TEST_F(Paths, SortedWithoutDuplicates) {
  EXPECT_EQ(names({"b.txt", "a.txt", "b.txt"}), (Names{"a.txt", "b.txt"}));
  EXPECT_EQ(names({"?.txt", "./sub/../a.txt"}), (Names{"a.txt", "b.txt"}));
  EXPECT_EQ(names({"sub"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"s*"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"."}),
            (Names{"a.txt", "b.txt", "c.md", "odd[1].txt", "sub/d.txt", "sub/deep/e.txt"}));
}

TEST_F(Paths, ExistingNamesHavePriorityOverGlobs) {
  EXPECT_EQ(names({"odd[1].txt"}), (Names{"odd[1].txt"}));
  EXPECT_EQ(names({".hidden"}), (Names{".hidden"}));
}

TEST_F(Paths, RejectsPatternsWithoutMatches) {
  for (const char* pattern : {"no.txt", "*.json", "empty"}) {
    const std::string message = message_of(ExitCode::kMissingInput, [&] {
      names({"a.txt", pattern});
    });
    EXPECT_NE(message.find("corpus.train"), std::string::npos);
    EXPECT_NE(message.find(pattern), std::string::npos);
  }
  EXPECT_TRUE(expand_paths({}, "corpus.valid").empty());
}

TEST_F(Paths, DoubleStarMatchesAnyNumberOfDirectories) {
  EXPECT_EQ(names({"**/*.txt"}),
            (Names{"a.txt", "b.txt", "odd[1].txt", "sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"sub/**/*.txt"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"**/deep/*"}), Names{"sub/deep/e.txt"});
  EXPECT_EQ(names({"**/**/e.*"}), Names{"sub/deep/e.txt"});
  EXPECT_EQ(names({"**/sub/**/e.txt"}), Names{"sub/deep/e.txt"});
  EXPECT_EQ(names({"**/deep"}), Names{"sub/deep/e.txt"});
  EXPECT_EQ(names({"s*/**"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"sub/**/"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"**"}), names({"."}));
  write_text(folder_ / "odd*[dir]/**/f.txt", "x");  // existing names have priority
  EXPECT_EQ(names({"odd*[dir]/**/f.txt"}), Names{"odd*[dir]/**/f.txt"});
  EXPECT_EQ(names({"**/f.txt"}), Names{"odd*[dir]/**/f.txt"});
  for (const char* pattern : {"**/*.json", "no/**/*.txt", "a.txt/**", "sub**/*.txt", "**.txt"}) {
    const std::string message = message_of(ExitCode::kMissingInput, [&] { names({pattern}); });
    EXPECT_NE(message.find(pattern), std::string::npos) << message;
  }
  EXPECT_NE(message_of(ExitCode::kMissingInput, [&] { names({"**.txt"}); }).find("d/**/*.txt"),
            std::string::npos);
  EXPECT_NE(message_of(ExitCode::kMissingInput, [&] { names({"{a,b}.txt"}); }).find("braces"),
            std::string::npos);
}

TEST_F(Paths, RelativeToTheWorkingDirectory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const auto found = expand_paths({"**/*.txt"}, "--data"), all = expand_paths({"./**"}, "--data");
  std::filesystem::current_path(before);
  EXPECT_EQ(found, (std::vector<std::filesystem::path>{"a.txt", "b.txt", "odd[1].txt", "sub/d.txt",
                                                       "sub/deep/e.txt"}));
  EXPECT_EQ(all.size(), 6U);
}

// Each file once, under its first name, with a note.
TEST_F(Paths, FilesWithSeveralNamesAreListedOnce) {
  std::filesystem::create_hard_link(folder_ / "b.txt", folder_ / "a-link.txt");
  std::filesystem::create_symlink(folder_ / "sub/d.txt", folder_ / "z-link.txt");
  write_text(folder_ / "copy.txt", "x");  // a copy is a different file
  const auto noted = [this](const std::vector<std::string>& patterns, const Names& expected) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(names(patterns), expected);
    return ::testing::internal::GetCapturedStderr();
  };
  std::string note = noted({"."}, {"a-link.txt", "a.txt", "c.md", "copy.txt", "odd[1].txt",
                                   "sub/d.txt", "sub/deep/e.txt"});
  EXPECT_NE(note.find("corpus.train: skipping 2 duplicate paths (e.g. "), std::string::npos)
      << note;
  EXPECT_NE(note.find("b.txt is "), std::string::npos) << note;
  for (const auto& patterns : {Names{"a.txt", "./a.txt"}, Names{"a.txt", "a.txt"},
                               Names{"?.txt", "a.*"}, Names{"sub", "sub/d.txt"}}) {
    note = noted(patterns, names({patterns[0]}));
    EXPECT_NE(note.find("corpus.train: skipping 1 duplicate path"), std::string::npos)
        << patterns[1] << note;
  }
  EXPECT_EQ(noted({"a.txt", "copy.txt"}, {"a.txt", "copy.txt"}), "");
}

TEST_F(Paths, LinkCyclesAndBrokenLinks) {
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "sub/loop");
  EXPECT_EQ(names({"sub"}), (Names{"sub/d.txt", "sub/deep/e.txt", "sub/loop/a.txt",
                                   "sub/loop/b.txt", "sub/loop/c.md", "sub/loop/odd[1].txt"}));
  EXPECT_EQ(names({"."}),
            (Names{"a.txt", "b.txt", "c.md", "odd[1].txt", "sub/d.txt", "sub/deep/e.txt"}));
  EXPECT_EQ(names({"**/e.txt"}), Names{"sub/deep/e.txt"});
  std::filesystem::create_symlink("self", folder_ / "self");
  std::filesystem::create_symlink("nowhere", folder_ / "sub/dead");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(names({"."}).size(), 6U);
  EXPECT_EQ(names({"s*"}).size(), 6U);
  const std::string warning = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(warning.find("corpus.train: skipping 2 broken links"), std::string::npos) << warning;
  for (const auto& [pattern, reason] :
       {std::pair{"self", "symbolic links"}, {"sub/dead", "` (broken link)"}}) {
    const std::string message =
        message_of(ExitCode::kMissingInput, [&, name = pattern] { names({name}); });
    EXPECT_NE(message.find(reason), std::string::npos) << message;
  }
}

TEST_F(Paths, ParentOfALinkIsNotSimplified) {
  write_text(folder_ / "other/a.txt", "y");
  std::filesystem::create_directories(folder_ / "other/inner");
  std::filesystem::create_directory_symlink(folder_ / "other/inner", folder_ / "link");
  EXPECT_EQ(names({"link/../a.txt", "a.txt"}), (Names{"a.txt", "link/../a.txt"}));
}

TEST_F(Paths, OnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((folder_ / "sub/pipe.txt").c_str(), 0600), 0);
  // a directory expands to its regular files
  EXPECT_EQ(names({"sub"}), (Names{"sub/d.txt", "sub/deep/e.txt"}));
  for (const char* pattern : {"sub/pipe.txt", "sub/*.txt"}) {
    const std::string message = message_of(ExitCode::kMissingInput, [&] { names({pattern}); });
    EXPECT_NE(message.find("pipe.txt` (a FIFO)"), std::string::npos) << message;
  }
  for (const char* device : {"/dev/null", "/dev/stdin"})
    message_of(ExitCode::kMissingInput, [&] { expand_paths({device}, "--data"); });
}

// Control characters in names are escaped only for output.
TEST_F(Paths, DoesNotEscapeNames) {
  write_text(folder_ / "a\nb\x1B[1m.txt", "x");
  EXPECT_EQ(names({"a*.txt"}), (Names{"a\nb\x1B[1m.txt", "a.txt"}));
}

}  // namespace
}  // namespace sluice::text
