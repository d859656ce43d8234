// Control characters in names, values and data do not reach the terminal and do not break lines of
// the console or the log.
#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

// ESC, line feed, bell, DEL, U+009B (CSI), U+202E, U+2066, U+200F, U+2028, an invalid UTF-8 byte.
const std::string kHostile =
    "n\x1b[31m\nx\x07\x7f\xc2\x9b"
    "2J\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xe2\x80\xa8\xff";

// True if the text consists of line feeds and printable characters.
::testing::AssertionResult is_harmless(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::string three = text.substr(i, 3);
    const bool is_control = (byte < 0x20 && byte != '\n') || byte == 0x7f || byte == 0xff;
    const bool is_c1 = byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    const bool is_hidden = three == "\xe2\x80\xae" || three == "\xe2\x81\xa6" ||
                           three == "\xe2\x80\x8f" || three == "\xe2\x80\xa8";
    if (is_control || is_c1 || is_hidden)
      return ::testing::AssertionFailure() << "byte " << i << " of " << text;
  }
  return ::testing::AssertionSuccess();
}

class TerminalText : public ProgramTest {
 protected:
  // stdout of the program with a terminal as stdout.
  std::string on_terminal(const std::vector<std::string>& arguments) const {
    int ours = -1, theirs = -1;
    EXPECT_EQ(openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> argv{const_cast<char*>(SLUICE_PROGRAM)};
      for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      if (chdir(directory_.path().c_str()) != 0 || dup2(theirs, 1) < 0) _exit(126);
      const int nowhere = open("/dev/null", O_WRONLY);
      dup2(nowhere, 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(theirs);
    std::string text;
    char piece[4096];
    for (ssize_t got; (got = ::read(ours, piece, sizeof(piece))) > 0;)
      text.append(piece, static_cast<std::size_t>(got));
    close(ours);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    std::erase(text, '\r');  // added by the terminal
    return text;
  }
};

// The hostile name as file, directory, key, value and argument.
TEST_F(TerminalText, ErrorsAreOneHarmlessLine) {
  write_english();
  write_tiny_config();
  write(kHostile + ".yaml",
        "corpus: {train: [text.txt]}\ntrain: {steps: 1}\nmodel: {d_model: -1}\n");
  write("broken.jsonl", "{\"other\": 1}\n");
  std::filesystem::create_directories(path(kHostile + ".d"));
  const std::vector<std::vector<std::string>> commands = {
      {"train", kHostile},
      {"train", kHostile + ".yaml"},
      {"train", kHostile + ".d"},
      {"config", "check", kHostile + ".yaml"},
      {"config", "check", "tiny.yaml", "--set", "run." + kHostile + "=1"},
      {"config", "check", "tiny.yaml", "--set",
       "corpus.format=\"" + std::string("a\\nb\\e[31m\\u202e") + "\""},
      {"train", "tiny.yaml", "--set",
       "corpus.train=[\"" + std::string("no\\nwhere\\e[1m\\u202e") + "\"]"},
      {"train", "tiny.yaml", "--run-dir", "text.txt/" + kHostile},
      {"eval", kHostile},
      {"eval", kHostile + ".d"},
      {"verify", kHostile},
      {"verify", kHostile + ".d"},
      {"generate", kHostile, "--prompt", "x"},
      {"compare", "--report", kHostile},
      {"compare", "tiny.yaml", "--seeds", kHostile},
      {"eval", "run", "--stride", kHostile},
      {"train", "tiny.yaml", "--" + kHostile},
      {"train", "tiny.yaml", kHostile},
      {kHostile}};
  for (const std::vector<std::string>& command : commands) {
    const Outcome outcome = sluice_in_fork(command);
    EXPECT_NE(outcome.exit_code, 0) << ::testing::PrintToString(command);
    EXPECT_NE(outcome.exit_code, 1) << ::testing::PrintToString(command) << outcome.err;
    EXPECT_TRUE(is_harmless(outcome.err)) << ::testing::PrintToString(command);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(TerminalText, ARunInAHostileDirectoryPrintsHarmlessLines) {
  write_english();
  write_tiny_config();
  const std::string place = "r\x1b[31m\nx\xe2\x80\xae";
  const std::vector<std::string> settings = {"--set", "train.steps=2", "evaluate.every_steps=never",
                                             "corpus.prepared_dir=\"p\\n\\e[1m\\u202e\""};
  std::vector<std::string> train = {"train", "tiny.yaml", "--run-dir", place};
  train.insert(train.end(), settings.begin(), settings.end());
  const Outcome trained = sluice(train);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_TRUE(is_harmless(trained.err));
  // The rest is a command for a shell.
  EXPECT_TRUE(is_harmless(trained.out.substr(0, trained.out.rfind(" generate "))));
  EXPECT_TRUE(is_harmless(read(place + "/log.txt")));
  std::vector<std::string> prepare = {"prepare", "tiny.yaml"};
  prepare.insert(prepare.end(), settings.begin(), settings.end());
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"verify", place}, prepare}) {
    const Outcome outcome = sluice(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(is_harmless(outcome.out));
    EXPECT_TRUE(is_harmless(outcome.err));
  }
}

// The output begins with the prompt.
TEST_F(TerminalText, GeneratedTextIsEscapedOnATerminalOnly) {
  write_english();
  write_tiny_config();
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2", "evaluate.every_steps=never"})
                .exit_code,
            0);
  const std::string prompt =
      "a\tb\nc\x1b[31m\xe2\x80\xae"
      "d";
  const std::vector<std::string> arguments = {"generate", "run", "--prompt",      prompt,
                                              "--tokens", "60",  "--temperature", "2"};
  const std::string raw = sluice(arguments).out;
  EXPECT_TRUE(raw.starts_with(prompt)) << raw;
  const std::string shown = on_terminal(arguments);
  EXPECT_TRUE(shown.starts_with("a\tb\nc\\x1b[31m")) << shown;
  std::string without_tabs = shown;
  std::erase(without_tabs, '\t');
  EXPECT_TRUE(is_harmless(without_tabs));
}

}  // namespace
}  // namespace sluice::app
