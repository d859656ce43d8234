// `generate` and `score` with JSON lines, stop strings and batches.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "tests/app/program.h"

namespace sluice::app {
namespace {

class Generation : public ShortRunTest {
 protected:
  void SetUp() override { train({"tiny.yaml"}); }
  static std::vector<nlohmann::json> lines_of(const std::string& text) {
    std::vector<nlohmann::json> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }
};

TEST_F(Generation, JsonLinesEqualSinglePromptsWhateverTheBatch) {
  write("prompts.jsonl",
        "{\"prompt\": \"The License\"}\n\n{\"prompt\": \"\", \"seed\": 7}\n"
        "{\"prompt\": \"A much longer prompt of several words\"}\n");
  const std::vector<std::string> common{
      "--tokens", "20", "--top-k", "50", "--min-p", "0.01", "--repetition-penalty", "1.1"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), common.begin(), common.end());
    return sluice(arguments);
  };
  const Outcome batch = with({"generate", "run", "--input", "prompts.jsonl"});
  ASSERT_EQ(batch.exit_code, 0) << batch.err;
  const auto texts = lines_of(batch.out);
  ASSERT_EQ(texts.size(), 3u);
  for (const auto& text : texts) {
    const Outcome single =
        with({"generate", "run", "--json", "--seed", text.at("prompt") == "" ? "7" : "1",
              "--prompt=" + text.at("prompt").get<std::string>()});
    ASSERT_EQ(single.exit_code, 0) << single.err;
    EXPECT_EQ(single.json(), text);
    EXPECT_EQ(text.at("tokens").size(), text.at("log_probabilities").size());
  }
  const Outcome file = with(
      {"generate", "run", "--input", "prompts.jsonl", "--output", "out.jsonl", "--batch", "1"});
  EXPECT_EQ(file.exit_code, 0) << file.err;
  EXPECT_EQ(file.out, "");
  EXPECT_EQ(read("out.jsonl"), batch.out);

  // An untrained model generates any byte; a stop string must be valid UTF-8.
  const std::string text = texts[0].at("text");
  const auto letter =
      std::find_if(text.begin() + 1, text.end(), [](char c) { return c > ' ' && c <= '~'; });
  ASSERT_NE(letter, text.end()) << text;
  const std::string stop = "--stop=" + std::string(1, *letter),
                    want = text.substr(0, text.find(*letter));
  const Outcome stopped =
      with({"generate", "run", "--json", "--prompt", "The License", "--stop", "never there", stop});
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(stopped.json().at("text"), want);
  EXPECT_EQ(stopped.json().at("stop"), "stop_string");
  EXPECT_EQ(with({"generate", "run", "--prompt", "The License", stop}).out,
            "The License" + want + "\n");
}

TEST_F(Generation, ScoresAgreeWithGenerationAndWithEachOther) {
  const auto generated = sluice({"generate", "run", "--json", "--prompt", "You may", "--tokens",
                                 "5", "--temperature", "0"})
                             .json();
  write("pairs.jsonl",
        nlohmann::json{{"context", "You may"}, {"continuation", generated.at("text")}}.dump() +
            "\n{\"text\": \"You may not\"}\n");
  const Outcome scored = sluice({"score", "run", "--input", "pairs.jsonl"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto scores = lines_of(scored.out);
  ASSERT_EQ(scores.size(), 2u);
  if (scores[0].at("tokens") == generated.at("tokens")) {  // else the text has other tokens
    EXPECT_EQ(scores[0].at("log_probabilities"), generated.at("log_probabilities"));
    EXPECT_EQ(scores[0].at("is_greedy"), true);
  }
  EXPECT_EQ(sluice({"score", "run", "--json", "--text", "You may not"}).json(), scores[1]);
  const double nats = -scores[1].at("log_probability").get<double>();
  EXPECT_NEAR(scores[1].at("bits_per_byte").get<double>(), nats / std::log(2.0) / 11, 1e-9);
  const Outcome text = sluice({"score", "run", "--context", "You", "--text", " may"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("is_greedy        "), std::string::npos) << text.out;
}

// JSON lines may come from another program.
TEST_F(Generation, ReadsJsonLinesFromPipes) {
  write("good.jsonl", "{\"text\": \"You may not\"}\n");
  const std::string want = sluice({"score", "run", "--input", "good.jsonl"}).out;
  const auto shell = [&](const std::string& arguments) {
    const Outcome outcome = run({"bash", "-c", SLUICE_PROGRAM + arguments});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  EXPECT_EQ(shell(" score run --input - < good.jsonl"), want);
  EXPECT_EQ(shell(" score run --input <(cat good.jsonl)"), want);
}

TEST_F(Generation, RejectsInvalidInput) {
  write("bad.jsonl", "{\"prompt\": \"a\"}\n{\"text\": 3}\n");
  write("syntax.jsonl", "{\"prompt\": \"a\"\n");
  write("empty.jsonl", "\n\n");
  write("good.jsonl", "{\"prompt\": \"a\"}\n");
  write("pair.jsonl", "{\"context\": \"a\"}\n");
  write("nothing.jsonl", "{\"context\": \"a\", \"continuation\": \"\"}\n");
  const std::vector<std::tuple<std::vector<std::string>, int, std::string>> cases{
      {{"generate", "run", "--input", "bad.jsonl"}, 65, "bad.jsonl:2"},
      {{"generate", "run", "--input", "syntax.jsonl"}, 65, "syntax.jsonl:1"},
      {{"generate", "run", "--input", "empty.jsonl"}, 65, "no lines; expected one JSON object"},
      {{"generate", "run", "--input", "nowhere.jsonl"}, 66, "nowhere.jsonl: cannot read"},
      {{"generate", "run", "--input", "run"}, 66, "a directory"},
      {{"generate", "run", "--input", "bad.jsonl", "--prompt", "a"},
       2,
       "--prompt: cannot be combined with --input"},
      {{"generate", "run", "--prompt", "a", "--output", "o"}, 2, "--output: requires --input"},
      {{"generate", "run", "--input", "good.jsonl", "--output", "./good.jsonl"},
       2,
       "--output: received ./good.jsonl, the input file"},
      {{"score", "run", "--input", "pair.jsonl", "--output", "run/checkpoints/../metrics.jsonl"},
       2,
       "a file of the run "},
      {{"report", "run", "--out", "run/config.yaml"}, 2, "--out: received run/config.yaml, a file"},
      {{"generate", "run", "--prompt", "a", "--stop="}, 2, "--stop: received empty text"},
      {{"score", "run"}, 2, "--text: missing argument"},
      {{"score", "run", "--input", "pair.jsonl"}, 65, "pair.jsonl:1: wrong keys"},
      {{"score", "run", "--input", "nothing.jsonl"}, 65, "nothing.jsonl:1: received no tokens"}};
  for (const auto& [arguments, code, message] : cases) {
    const Outcome outcome = sluice(arguments);
    EXPECT_EQ(outcome.exit_code, code) << ::testing::PrintToString(arguments);
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

}  // namespace
}  // namespace sluice::app
