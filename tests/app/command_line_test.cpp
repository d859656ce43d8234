// The command line: help, exit codes, wrong use.
#include <regex>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

class CommandLine : public ProgramTest {};

const std::vector<std::vector<std::string>> kCommands = {{"train"},
                                                         {"prepare"},
                                                         {"eval"},
                                                         {"generate"},
                                                         {"score"},
                                                         {"export"},
                                                         {"import"},
                                                         {"plan"},
                                                         {"verify"},
                                                         {"config", "show"},
                                                         {"config", "check"},
                                                         {"config", "schema"},
                                                         {"config", "docs"},
                                                         {"doctor"},
                                                         {"compare"},
                                                         {"verdict"},
                                                         {"audit"},
                                                         {"report"},
                                                         {"completion"},
                                                         {"man"}};

TEST_F(CommandLine, EveryCommandHasHelpWithAnExample) {
  for (std::vector<std::string> command : kCommands) {
    command.push_back("--help");
    const Outcome outcome = sluice_in_fork(command);
    EXPECT_EQ(outcome.exit_code, 0) << command[0];
    EXPECT_NE(outcome.out.find("Example:\n  sluice " + command[0]), std::string::npos)
        << outcome.out;
    EXPECT_EQ(outcome.err, "") << command[0];
  }
}

TEST_F(CommandLine, VersionIsOneLine) {
  const Outcome outcome = sluice({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(std::regex_match(outcome.out,
                               std::regex(R"(sluice \d+\.\d+\.\d+( \([0-9a-f]+(-dirty)?\))?\n)")))
      << outcome.out;
}

TEST_F(CommandLine, ReportsAFailedWriteToStdout) {
  const auto through = [&](const std::string& line) {
    return run({"/bin/bash", "-o", "pipefail", "-c", line, SLUICE_PROGRAM});
  };
  for (const char* command : {"--help", "train --help", "--version", "config docs", "doctor"}) {
    const Outcome full = through(std::string("\"$0\" ") + command + " > /dev/full");
    EXPECT_EQ(full.exit_code, 74) << command;
    EXPECT_NE(full.err.find("stdout"), std::string::npos) << full.err;
    // `true` reads nothing and closes the pipe long before the write.
    const Outcome closed =
        through(std::string("(sleep 0.3; \"$0\" ") + command + "; echo $? >&2) | true");
    EXPECT_EQ(closed.err, "141\n") << command;
  }
}

TEST_F(CommandLine, WrongUseIsExitCodeTwo) {
  write_english();
  write_tiny_config();
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"fly"},
      {"train"},
      {"train", "tiny.yaml", "--resume", "--fresh"},
      {"train", "tiny.yaml", "--no-such-flag"},
      {"train", "tiny.yaml", "--set", "model.fnn=geglu"},
      {"train", "tiny.yaml", "--set", "model.ffn=gegul"},
      {"train", "tiny.yaml", "--set", "train.steps=many"},
      {"train", "tiny.yaml", "--set", "train.tokens=100000"},
      {"train", "tiny.yaml", "--set", "model.num_heads=5"},
      {"train", "tiny.yaml", "--set", "train.threads=100000"},
      {"train", "tiny.yaml", "--dump-steps", "0"},
      {"generate", "run", "--prompt", "x", "--top-p", "2"},
      {"generate", "run", "--prompt", "x", "--top-p", "nan"},
      {"generate", "run", "--prompt", "x", "--temperature", "-1"},
      {"eval", "run", "--stride", "0"},
      {"eval"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const Outcome outcome = sluice_in_fork(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << ::testing::PrintToString(arguments) << outcome.err;
    EXPECT_EQ(outcome.out, "") << ::testing::PrintToString(arguments);
    // One line of readable length.
    EXPECT_TRUE(std::regex_match(outcome.err, std::regex("error: .{10,400}\n"))) << outcome.err;
  }
}

TEST_F(CommandLine, SuggestsTheRightCommand) {
  const Outcome outcome = sluice({"trian", "tiny.yaml"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("`trian` is not a command"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("(did you mean `train`?)"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, SuggestsTheRightKeyWithFileAndLine) {
  write("wrong.yaml", "model: {fnn: geglu}\ntrain: {steps: 010}\n");
  const Outcome outcome = sluice({"config", "check", "wrong.yaml"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("wrong.yaml:1: model.fnn"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("`ffn`"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("wrong.yaml:2: train.steps"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, MissingFilesAreExitCode66) {
  EXPECT_EQ(sluice({"train", "nowhere.yaml"}).exit_code, 66);
  EXPECT_EQ(sluice({"eval", "nowhere"}).exit_code, 66);
  EXPECT_EQ(sluice({"verify", "nowhere"}).exit_code, 66);
  write("notes.txt", "not a checkpoint");
  EXPECT_EQ(sluice({"verify", "notes.txt"}).exit_code, 66);
  write_tiny_config();
  const Outcome no_corpus = sluice({"train", "tiny.yaml"});
  EXPECT_EQ(no_corpus.exit_code, 66);
  EXPECT_NE(no_corpus.err.find("text.txt"), std::string::npos) << no_corpus.err;
}

TEST_F(CommandLine, SetMayComeBeforeOrAfterTheConfiguration) {
  write_tiny_config();
  const Outcome after =
      sluice({"config", "show", "tiny.yaml", "--set", "model.ffn=geglu", "train.steps=7"});
  const Outcome before =
      sluice({"config", "show", "--set", "model.ffn=geglu", "train.steps=7", "tiny.yaml"});
  EXPECT_EQ(after.exit_code, 0) << after.err;
  EXPECT_EQ(before.out, after.out);
  EXPECT_NE(after.out.find("ffn: geglu"), std::string::npos);
}

TEST_F(CommandLine, TheResolvedConfigurationIsEquivalent) {
  write_tiny_config();
  const Outcome shown = sluice({"config", "show", "tiny.yaml"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  write("again.yaml", shown.out);
  EXPECT_EQ(sluice({"config", "show", "again.yaml"}).out, shown.out);
}

TEST_F(CommandLine, DoctorPrintsJson) {
  const auto found = sluice({"doctor", "--json"}).json();
  EXPECT_GE(found.at("threads").get<int>(), 1);
  EXPECT_GT(found.at("memory_bytes").get<double>(), 1e8);
  EXPECT_TRUE(found.at("precision_auto") == "bf16" || found.at("precision_auto") == "fp32");
}

}  // namespace
}  // namespace sluice::app
