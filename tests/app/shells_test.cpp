// Completion in real shells, and manual pages checked by mandoc. scripts/setup.sh --tests installs
// them.
#include <regex>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

// The line before the cursor, and what a shell makes of it: the whole line if there is only one
// candidate, or its common start.
struct Completed {
  std::string line, expected;
};

const std::vector<Completed> kCompleted = {
    {"sluice tr", "sluice train "},
    {"sluice config sc", "sluice config schema "},
    {"sluice config show --s", "sluice config show --set "},
    {"sluice train --re", "sluice train --resume "},
    {"sluice train --set model.ff", "sluice train --set model.ffn="},
    {"sluice train --set model.ffn=bil", "sluice train --set model.ffn=bilinear "},
    {"sluice train --set run.seed=2 train.ep", "sluice train --set run.seed=2 train.epochs="},
    {"sluice train --set run.seed=2 schedule.type=cos",
     "sluice train --set run.seed=2 schedule.type=cosine "},
    {"sluice train my_con", "sluice train my_config.yaml "},
    {"sluice train --run-dir my_d", "sluice train --run-dir my_directory/"},
    {"sluice compare --runs-in t", "sluice compare --runs-in threads "},
    {"sluice compare --runs-in=t", "sluice compare --runs-in=threads "},
    {"sluice completion f", "sluice completion fish "},
    {"sluice export my_directory --to t", "sluice export my_directory --to tensorboard "},
    {"sluice report my_d", "sluice report my_directory/"}};

class Shells : public ProgramTest {
 protected:
  // The script for a shell as the file "script"; false if the shell is not installed.
  bool prepare(const std::string& shell) const {
    const Outcome printed = sluice({"completion", shell});
    EXPECT_EQ(printed.exit_code, 0) << printed.err;
    write("script", printed.out);
    write("my_config.yaml", "");
    fs::create_directory(path("my_directory"));
    return run({"/bin/sh", "-c", "command -v " + shell}).exit_code == 0;
  }
  static std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  static std::string last_word(const std::string& line) {
    return line.substr(line.find_last_of(' ') + 1);
  }
};

// Bash splits words at `=`, too.
constexpr const char* kBash = R"(
source ./script
COMP_WORDS=($(sed 's/=/ = /g' <<< "$1"))
[[ $1 == *[\ =] ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_sluice
printf '%s\n' "${COMPREPLY[@]}"
)";

TEST_F(Shells, Bash) {
  ASSERT_TRUE(prepare("bash"));
  for (const auto& [line, expected] : kCompleted) {
    const Outcome outcome = run({"/bin/bash", "-c", kBash, "bash", line});
    EXPECT_EQ(outcome.err, "") << line;
    // Bash replaces the part after `=`, and adds the space or the slash itself.
    std::string word = expected.back() == ' ' ? expected.substr(0, expected.size() - 1) : expected;
    if (word.back() == '/') word.pop_back();
    word = last_word(word);
    if (word.back() != '=' && word.find('=') != std::string::npos)
      word = word.substr(word.find('=') + 1);
    EXPECT_EQ(lines_of(outcome.out), std::vector<std::string>{word}) << line;
  }
  const Outcome all = run({"/bin/bash", "-c", kBash, "bash", "sluice "});
  for (const char* command : {"train", "compare", "config", "export", "report"})
    EXPECT_NE(("\n" + all.out).find(std::string("\n") + command + "\n"), std::string::npos);
  EXPECT_EQ(all.out.find("run-jobs"), std::string::npos) << "a hidden command";
}

TEST_F(Shells, Zsh) {
  if (!prepare("zsh")) GTEST_SKIP() << "zsh is not installed";
  std::vector<std::string> command = {"zsh", "-f", SLUICE_SOURCE_DIR "/tests/app/zsh_complete.zsh",
                                      "./script"};
  std::vector<std::string> expected;
  for (const Completed& one : kCompleted) {
    command.push_back(one.line);
    expected.push_back(one.expected);
  }
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(lines_of(outcome.out), expected);
}

TEST_F(Shells, Fish) {
  if (!prepare("fish")) GTEST_SKIP() << "fish is not installed";
  for (const auto& [line, expected] : kCompleted) {
    const Outcome outcome =
        run({"fish", "-c", "source ./script; complete -C $argv[1] | string split -f1 \\t", line});
    EXPECT_EQ(outcome.err, "") << line;
    // Fish adds the space itself.
    const std::string text =
        expected.back() == ' ' ? expected.substr(0, expected.size() - 1) : expected;
    const std::vector<std::string> found = lines_of(outcome.out);
    EXPECT_NE(std::find(found.begin(), found.end(), last_word(text)), found.end())
        << line << ": " << outcome.out;
  }
}

TEST_F(Shells, RejectsAnotherShell) {
  const Outcome outcome = sluice({"completion", "tcsh"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("bash, zsh or fish"), std::string::npos) << outcome.err;
}

TEST_F(Shells, ManPages) {
  const Outcome written = sluice({"man", "--out", "man"});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  std::vector<std::string> pages;
  for (const auto& entry : fs::directory_iterator(path("man/man1")))
    pages.push_back(entry.path().string());
  EXPECT_EQ(written.out, std::to_string(pages.size()) + " pages in man/man1\n");
  const std::string train = read("man/man1/sluice-train.1");
  EXPECT_NE(train.find("\\fB\\-\\-run\\-dir\\fR \\fIDIR\\fR\n"), std::string::npos) << train;
  if (run({"/bin/sh", "-c", "command -v mandoc"}).exit_code != 0)
    GTEST_SKIP() << "mandoc is not installed";
  std::vector<std::string> lint = {"mandoc", "-T", "lint", "-W", "warning"};
  lint.insert(lint.end(), pages.begin(), pages.end());
  const Outcome checked = run(lint);
  EXPECT_EQ(checked.out + checked.err, "");
  EXPECT_EQ(checked.exit_code, 0);
  // Each option of the help is on the page as mandoc shows it.
  const std::string shown = run({"mandoc", "-T", "ascii", "man/man1/sluice-train.1"}).out;
  const std::string plain = std::regex_replace(shown, std::regex(".\x08"), "");
  const std::string help = sluice({"train", "--help"}).out;
  const std::regex option("--[a-z-]+");
  int num_options = 0;
  for (auto match = std::sregex_iterator(help.begin(), help.end(), option);
       match != std::sregex_iterator(); ++match, ++num_options)
    EXPECT_NE(plain.find(match->str()), std::string::npos) << match->str();
  EXPECT_GT(num_options, 6);
}

}  // namespace
}  // namespace sluice::app
