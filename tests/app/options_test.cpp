// Option values: numbers follow the rules and messages of the configuration, and an empty value is
// never replaced by the next argument.
#include <algorithm>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

class Options : public ProgramTest {
 protected:
  // The error line for a rejected command line, else the exit code.
  std::string refusal(const std::vector<std::string>& arguments) const {
    const Outcome outcome = sluice_in_fork(arguments);
    if (outcome.exit_code != 2) return "exit code " + std::to_string(outcome.exit_code);
    EXPECT_EQ(outcome.out, "");
    const std::string end = "; see `sluice " + arguments.front() + " --help`\n";
    EXPECT_TRUE(outcome.err.starts_with("error: ") && outcome.err.ends_with(end)) << outcome.err;
    return outcome.err.substr(
        7, outcome.err.size() - 7 - std::min(end.size(), outcome.err.size() - 7));
  }
};

struct NumberOption {
  std::vector<std::string> command;  // without the option
  std::string name, expected;        // `expected`: in the message for a non-number
  bool is_whole;
};

std::vector<NumberOption> number_options() {
  const std::vector<std::string> generate = {"generate", "nowhere", "--prompt", "x"},
                                 eval = {"eval", "nowhere"}, train = {"train", "nowhere.yaml"},
                                 compare = {"compare", "nowhere.yaml"},
                                 plan = {"plan", "nowhere.yaml"};
  return {{generate, "--tokens", "a whole number greater than 0", true},
          {generate, "--temperature", "a number of at least 0", false},
          {generate, "--top-k", "a whole number of at least 0", true},
          {generate, "--top-p", "a number greater than 0, of at most 1", false},
          {generate, "--seed", "a whole number", true},
          {eval, "--stride", "a whole number greater than 0", true},
          {eval, "--max-tokens", "a whole number greater than 0", true},
          {train, "--dump-steps", "a whole number greater than 0", true},
          {plan, "--measure-steps", "a whole number greater than 0", true},
          {compare, "--jobs", "`auto` or a whole number from 1 to 1024", true},
          {compare, "--seeds", "a whole number", true}};
}

// All values for one option of each kind; a few for the others, since the same function parses them
// (app/options.h, read_option).
TEST_F(Options, ParsesNumbersAsInAConfiguration) {
  for (const NumberOption& option : number_options()) {
    const bool all_words =
        option.name == "--tokens" || option.name == "--temperature" || option.name == "--seeds";
    const auto with = [&](const std::string& word) {
      std::vector<std::string> arguments = option.command;
      arguments.push_back(option.name + "=" + word);
      return refusal(arguments);
    };
    const std::string begin = option.name + ": received ";
    EXPECT_EQ(with("many"), begin + "`many`; expected " + option.expected);
    // valid, so only the missing file is reported
    EXPECT_EQ(with("1"), "exit code 66") << option.name;
    EXPECT_TRUE(with("").starts_with(begin)) << option.name;
    if (option.is_whole) {
      EXPECT_TRUE(with("1.5").starts_with(begin)) << option.name;
    }
    if (!all_words) continue;
    for (const auto& [word, meant] : std::vector<std::pair<std::string, std::string>>{
             {"010", "10"}, {"0x10", "16"}, {"1_000", "1000"}, {"007", "7"}}) {
      const std::string text = with(word);
      EXPECT_TRUE(text.starts_with(begin + "`" + word + "`; expected ")) << text;
      EXPECT_TRUE(text.ends_with(" (did you mean `" + meant + "`?)")) << text;
    }
    for (const char* word :
         {"nan", "inf", "-inf", "Infinity", "1k", "1.", "1 ", " 1", "+-1", "\"1\"", "1e", "٣"}) {
      // a valid number, but not a whole one
      if (!option.is_whole && std::string(word) == "1.") continue;
      EXPECT_TRUE(with(word).starts_with(begin)) << option.name << " " << word;
    }
    if (option.is_whole) {
      EXPECT_TRUE(with("99999999999999999999").starts_with(begin)) << option.name;
      EXPECT_TRUE(with("18446744073709551616").starts_with(begin)) << option.name;
      EXPECT_TRUE(with("-1").starts_with(begin)) << option.name;
      EXPECT_EQ(with("1e2"), "exit code 66") << option.name;
    }
  }
}

TEST_F(Options, UsesTheMessagesOfTheConfiguration) {
  write("minimal.yaml", "corpus: {train: [text.txt]}\n");
  for (const char* word : {"010", "0x10", "-1", "18446744073709551616", "99999999999999999999",
                           "nan", "1.5", "many"}) {
    const Outcome yaml = sluice({"config", "show", "minimal.yaml", "--set", "train.steps=1",
                                 std::string("run.seed=") + word});
    const std::string text = yaml.err.substr(yaml.err.find("received"));
    EXPECT_EQ("--seed: " + text,
              refusal({"generate", "run", "--prompt", "x", "--seed", word}) + "\n");
  }
}

TEST_F(Options, AcceptsTheLargestSeed) {
  EXPECT_EQ(refusal({"generate", "nowhere", "--prompt", "x", "--seed", "18446744073709551615"}),
            "exit code 66");
  EXPECT_EQ(
      refusal({"compare", "nowhere.yaml", "--seeds", "0,18446744073709551615", "--seeds", "3"}),
      "exit code 66");
  EXPECT_EQ(refusal({"compare", "nowhere.yaml", "--jobs", "auto"}), "exit code 66");
  for (const char* word : {"1,,2", ",1", "1,"})
    EXPECT_EQ(refusal({"compare", "nowhere.yaml", "--seeds", word}),
              "--seeds: received ``; expected a whole number");
  EXPECT_EQ(refusal({"compare", "nowhere.yaml", "--jobs", "1025"}),
            "--jobs: received `1025`; expected `auto` or a whole number from 1 to 1024");
  EXPECT_EQ(refusal({"compare", "nowhere.yaml", "--seeds", "1,010"}),
            "--seeds: received `010`; expected a whole number without leading zeros (did you mean "
            "`10`?)");
}

TEST_F(Options, AnEmptyValueIsNeverTheNextArgument) {
  write("c.yaml", "");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"train", "c.yaml", "--run-dir=", "--json"},
       "--run-dir: received empty text; expected a directory"},
      {{"train", "c.yaml", "--run-dir", "", "--json"},
       "--run-dir: received empty text; expected a directory"},
      {{"train", "c.yaml", "--dump-batches=", "x"},
       "--dump-batches: received empty text; expected a file name"},
      {{"eval", "run", "--data=", "text.txt"}, "--data: received empty text; expected a file name"},
      {{"eval", ""}, "RUN: received empty text; expected a directory"},
      {{"verify", ""}, "RUN: received empty text; expected a directory"},
      {{"compare", "--report=", "x"}, "--report: received empty text; expected a directory"},
      {{"compare", "c.yaml", "--only=", "relu"}, "--only: received empty text; expected a variant"},
      {{"train", "c.yaml", "--set=", "train.steps=3"},
       "--set: received empty text; expected KEY=VALUE"},
      {{"generate", "run", "--prompt=", "x"}, "x: unexpected argument"},
      {{"generate", "run", "--prompt"}, "--prompt: missing value; expected TEXT"},
      {{"generate", "run", "--prompt", "--json"},
       "--prompt: missing value before --json; expected TEXT, or `--prompt=--json` to pass "
       "`--json` as value"},
      {{"eval", "run", "--stride", "--json"},
       "--stride: missing value before --json; expected N, or `--stride=--json` to pass "
       "`--json` as value"},
      {{"eval", "run", "--json=no"}, "--json: received `no`; expected no value"},
      {{"eval", "run", "--json="}, "--json: received ``; expected no value"},
      {{"eval", "run", "--stride", "3", "--stride", "4"}, "--stride: given more than once"},
      {{"train", "c.yaml", "--run-dir=a", "--run-dir=b"}, "--run-dir: given more than once"}};
  for (const auto& [arguments, expected] : cases)
    EXPECT_EQ(refusal(arguments), expected) << ::testing::PrintToString(arguments);
}

TEST_F(Options, ArgumentsThatAreMissingOrContradictEachOther) {
  EXPECT_EQ(refusal({"eval"}), "RUN: missing argument");
  EXPECT_EQ(refusal({"generate", "run"}), "--prompt: missing argument");
  EXPECT_EQ(refusal({"config"}), "COMMAND: missing argument");
  EXPECT_EQ(refusal({"train", "a.yaml", "b.yaml", "c.yaml"}), "b.yaml: unexpected argument");
  EXPECT_EQ(sluice_in_fork({"launch", "-n", "2"}).err,
            "error: COMMAND: missing argument; expected `train` and its arguments\n");
  EXPECT_EQ(sluice_in_fork({"launch", "-n", "2", "eval", "run"}).err,
            "error: COMMAND: received `eval`; expected `train` and its arguments\n");
  EXPECT_EQ(refusal({"train", "c.yaml", "--resume", "--fresh"}),
            "--resume: cannot be combined with --fresh");
  EXPECT_EQ(refusal({"compare", "c.yaml", "--measure"}), "--measure: requires --dry-run");
}

TEST_F(Options, GenerateAcceptsAnEmptyPromptAndALeadingDash) {
  write_english();
  write_tiny_config();
  ASSERT_EQ(sluice({"train", "tiny.yaml", "--set", "train.steps=2", "evaluate.every_steps=never"})
                .exit_code,
            0);
  const auto text_for = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"generate", "run", "--json"});
    const Outcome outcome = sluice(options);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? outcome.json() : nlohmann::json();
  };
  EXPECT_EQ(text_for({"--prompt=", "--tokens", "3"}).at("prompt"), "");
  EXPECT_EQ(text_for({"--prompt=--json", "--tokens", "3"}).at("prompt"), "--json");
  EXPECT_EQ(text_for({"--prompt", "-x", "--tokens", "3"}).at("prompt"), "-x");
  const auto ten =
      text_for({"--prompt", "The", "--tokens", "10", "--seed", "100", "--temperature", "0.5"});
  EXPECT_EQ(
      text_for({"--prompt", "The", "--tokens", "1e1", "--seed", "1e2", "--temperature", "5e-1"})
          .at("text"),
      ten.at("text"));
  EXPECT_FALSE(ten.at("text").get<std::string>().empty());
}

}  // namespace
}  // namespace sluice::app
