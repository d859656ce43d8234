// Typed reading: accepted values, and the message of each problem.
#include "config/read.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::problems_of;
using sample::Root;

struct ReadCase {
  const char* yaml;
  const char* problem;
};

TEST(Read, EmptyTextGivesTheDefaults) {
  const Root root = parse<Root>("", "c.yaml");
  EXPECT_EQ(root.model.d_model, 192);
  EXPECT_EQ(root.run.memory.count, 64 << 20);
  EXPECT_TRUE(root.run.device.is_word());
  EXPECT_EQ(std::get<sample::Muon>(root.second).lr, 0.5);
}

TEST(Read, ReadsEveryKindOfValue) {
  const Root root = parse<Root>(R"(
run:
  name: on
  seed: 18446744073709551615
  files: [a, "b c", 010]
  note: "null"
  limit: 1e2
  device: cuda
  format: lines
  memory: 1.5GiB
  wait: 10min
  stages: [{lr: 1}, {momentum: 0.5}]
  extra: {lr: 3}
model: {d_model: 64, num_heads: 4, ffn: "relu", d_ff: 100, bias: true}
optimizer: {type: muon, lr: 0.1}
second: {lr: 0.75}
)",
                                "c.yaml");
  EXPECT_EQ(root.run.name, "on");
  EXPECT_EQ(root.run.seed, 18446744073709551615U);
  EXPECT_EQ(root.run.files, (std::vector<std::string>{"a", "b c", "010"}));
  EXPECT_EQ(root.run.note, "null");
  EXPECT_EQ(root.run.limit, 100.0);
  EXPECT_EQ(*root.run.device, "cuda");
  EXPECT_EQ(root.run.format, sample::Format::kLines);
  EXPECT_EQ(root.run.memory.count, 1610612736);
  EXPECT_EQ(root.run.wait.count, 600);
  ASSERT_EQ(root.run.stages.size(), 2U);
  EXPECT_EQ(root.run.stages[0].lr, 1);
  EXPECT_EQ(root.run.stages[0].momentum, 0.95);
  EXPECT_EQ(root.run.stages[1].momentum, 0.5);
  EXPECT_EQ(root.run.extra->lr, 3);
  EXPECT_EQ(root.model.ffn->width, 4);
  EXPECT_EQ(*root.model.d_ff, 100);
  EXPECT_TRUE(root.model.bias);
  EXPECT_EQ(std::get<sample::Muon>(root.optimizer).lr, 0.1);
  EXPECT_EQ(std::get<sample::Muon>(root.optimizer).momentum, 0.95);
  EXPECT_EQ(std::get<sample::Muon>(root.second).lr, 0.75);  // no `type`: the default type
  // with the member's initial values
  EXPECT_EQ(std::get<sample::Muon>(root.second).momentum, 0.25);
}

TEST(Read, ReadsWordsAndNull) {
  const Root root = parse<Root>(
      "run: {device: auto, note: ~, limit: null, extra: null}\nmodel: {d_ff: match}", "c.yaml");
  EXPECT_TRUE(root.run.device.is_word());
  EXPECT_FALSE(root.run.note.has_value());
  EXPECT_FALSE(root.run.extra.has_value());
  EXPECT_TRUE(root.model.d_ff.is_word());
  // quoted: ordinary text
  EXPECT_EQ(*parse<Root>("run: {device: \"auto\"}", "c.yaml").run.device, "auto");
  EXPECT_TRUE(parse<Root>("model: {d_ff: \"match\"}", "c.yaml").model.d_ff.is_word());
}

TEST(Read, ReadsATypeWithoutFields) {
  EXPECT_TRUE(std::holds_alternative<sample::Plain>(
      parse<Root>("optimizer: {type: plain}", "c.yaml").optimizer));
}

class ReadProblem : public ::testing::TestWithParam<ReadCase> {};

TEST_P(ReadProblem, IsOneLine) { EXPECT_EQ(problems_of(GetParam().yaml), GetParam().problem); }

INSTANTIATE_TEST_SUITE_P(
    Table, ReadProblem,
    ::testing::Values(
        ReadCase{"model:\n  bias: on\n",
                 "c.yaml:2: model.bias: received `on`; expected `true` or `false` (did you mean "
                 "`true`?)"},
        ReadCase{"run: {seed: 010}",
                 "c.yaml:1: run.seed: received `010`; expected a whole number without leading "
                 "zeros (did you mean `10`?)"},
        ReadCase{"run: {seed: \"4\"}",
                 "c.yaml:1: run.seed: received `\"4\"`; expected a whole number without quotes "
                 "(did you mean `4`?)"},
        ReadCase{"run: {seed: -1}",
                 "c.yaml:1: run.seed: received `-1`; expected a whole number of at least 0"},
        ReadCase{"run: {seed: [1]}",
                 "c.yaml:1: run.seed: received a list of 1; expected a whole number"},
        ReadCase{"run: {seed: }", "c.yaml:1: run.seed: received null; expected a whole number"},
        ReadCase{"model: {d_model: -8}",
                 "c.yaml:1: model.d_model: received `-8`; expected a whole number greater than 0, "
                 "a multiple of 8"},
        ReadCase{"model: {d_model: 12}",
                 "c.yaml:1: model.d_model: received `12`; expected a whole number greater than 0, "
                 "a multiple of 8"},
        ReadCase{"model: {d_ff: mach}",
                 "c.yaml:1: model.d_ff: received `mach`; expected `match` or a whole number "
                 "greater than 0 (did you mean `match`?)"},
        ReadCase{"model: {d_ff: 0}",
                 "c.yaml:1: model.d_ff: received `0`; expected `match` or a whole number greater "
                 "than 0"},
        ReadCase{"model: {d_ff: 012}",
                 "c.yaml:1: model.d_ff: received `012`; expected `match` or a whole number without "
                 "leading zeros (did you mean `12`?)"},
        ReadCase{"model: {ffn: swigl}",
                 "c.yaml:1: model.ffn: received `swigl`; expected one of relu, swiglu, glu (did "
                 "you mean `swiglu`?)"},
        ReadCase{"run: {format: line}",
                 "c.yaml:1: run.format: received `line`; expected one of text, lines, paragraphs "
                 "(did you mean `lines`?)"},
        ReadCase{"run: {name: null}", "c.yaml:1: run.name: received null; expected non-empty text"},
        ReadCase{"run: {name: ''}", "c.yaml:1: run.name: received `\"\"`; expected non-empty text"},
        ReadCase{
            "run: {limit: 0.25}",
            "c.yaml:1: run.limit: received `0.25`; expected `null` or a number of at least 0.5"},
        ReadCase{
            "run: {limit: .nan}",
            "c.yaml:1: run.limit: received `.nan`; expected `null` or a number of at least 0.5"},
        ReadCase{"run: {files: a.txt}",
                 "c.yaml:1: run.files: received `a.txt`; expected a list, each item text, such as "
                 "[a.txt]"},
        ReadCase{"run: {files: [a, [b]]}",
                 "c.yaml:1: run.files[1]: received a list of 1; expected text"},
        ReadCase{"run: {memory: 0}",
                 "c.yaml:1: run.memory: received `0`; expected a size such as 512MiB, 2GB or 1000, "
                 "greater than 0"},
        ReadCase{"run:\n  stages:\n    - {lr: 1}\n    - {lr: 0}\n",
                 "c.yaml:4: run.stages[1].lr: received `0`; expected a number greater than 0"},
        ReadCase{"optimizer: {betas: [0.9]}",
                 "c.yaml:1: optimizer.betas: received a list of 1; expected a list, each item a "
                 "number from 0 to 1, such as [0.9, 0.95]"},
        ReadCase{"optimizer: {betas: 0.9}",
                 "c.yaml:1: optimizer.betas: received `0.9`; expected a list, each item a number "
                 "from 0 to 1, such as [0.9, 0.95]"},
        ReadCase{"optimizer: {type: adam}",
                 "c.yaml:1: optimizer.type: received `adam`; expected one of adamw, muon, plain "
                 "(did you mean `adamw`?)"},
        ReadCase{
            "optimizer: {type: [adamw]}",
            "c.yaml:1: optimizer.type: received a list of 1; expected one of adamw, muon, plain"},
        ReadCase{"optimizer: muon",
                 "c.yaml:1: optimizer: received `muon`; expected a mapping with `type`, one of "
                 "adamw, muon, plain (did you mean `{type: muon}`?)"},
        ReadCase{"optimizer: {momentum: 1}",
                 "c.yaml:1: optimizer.momentum: unknown key; expected a key of type adamw: "
                 "type, lr, betas; `momentum` belongs to type muon"},
        ReadCase{
            "model:\n",
            "c.yaml:1: model: received null; expected a mapping; omit the key to use the defaults"},
        ReadCase{"modle: {}",
                 "c.yaml:1: modle: unknown key; expected a key of this section: run, model, "
                 "optimizer, second (did you mean `model`?)"},
        ReadCase{"d_model: 3",
                 "c.yaml:1: d_model: unknown key; expected a key of this section: run, model, "
                 "optimizer, second (did you mean `model.d_model`?)"},
        ReadCase{"model: {type: decoder}",
                 "c.yaml:1: model.type: unknown key; expected a key of this section: d_model, "
                 "num_heads, ffn, d_ff, bias"},
        ReadCase{"[a]", "c.yaml: received a list of 1; expected a mapping"},
        ReadCase{"4", "c.yaml: received `4`; expected a mapping"},
        ReadCase{"extends: [x.yaml]",
                 "c.yaml:1: extends: received a list of 1; expected `extends` only in files"},
        ReadCase{"model:\n  d_model: 64\n  num_heads: 5\n",
                 "c.yaml:3: model.num_heads: received 5; expected a divisor of d_model"},
        // check() reports a missing field at the line of the section.
        ReadCase{"\nmodel:\n  d_model: 64\n",
                 "c.yaml:2: model.num_heads: received 3; expected a divisor of d_model"}));

TEST(Read, ReportsAllProblemsInLineOrder) {
  const std::string text = problems_of(
      "run: {seed: x}\nmodel:\n  bias: no\n  d_model: 7\n  num_heads: 5\nzzz: 1\nrun: 3\n");
  EXPECT_EQ(
      text,
      "c.yaml:1: run.seed: received `x`; expected a whole number\n"
      "c.yaml:3: model.bias: received `no`; expected `true` or `false` (did you mean `false`?)\n"
      "c.yaml:4: model.d_model: received `7`; expected a whole number greater than 0, a multiple "
      "of 8\n"
      "c.yaml:6: zzz: unknown key; expected a key of this section: run, model, "
      "optimizer, second\n"
      "c.yaml:7: duplicate key `run` (first on line 1); expected unique keys");
}

TEST(Read, HostileValuesGiveOneShortLine) {
  const std::string text = problems_of("model: {bias: \"" + std::string(50000, 'x') +
                                       "\\n\\e[31m\"}\n\"k\\n" + std::string(900, 'y') + "\": 1");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_LT(text.size(), 1000U);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Read, ManyProblemsAreCounted) {
  std::string yaml;
  for (int i = 0; i < 500; ++i) yaml += "key" + std::to_string(i) + ": 1\n";
  const std::string text = problems_of(yaml);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 100);
  EXPECT_TRUE(text.ends_with("... and 400 more problems")) << text.substr(text.size() - 60);
}

struct Needs {
  std::vector<std::string> train;
  std::int64_t steps = 0;
  static constexpr auto fields() {
    return std::tuple{field<&Needs::train>("Files.", NonEmpty{}),
                      field<&Needs::steps>("Steps.", Positive{})};
  }
};
struct NeedsBelow {
  Needs data;
  static constexpr auto fields() { return std::tuple{field<&NeedsBelow::data>("Data.")}; }
};

TEST(Read, AnInvalidDefaultMakesTheKeyRequired) {
  EXPECT_EQ(sample::error_of([] { parse<NeedsBelow>("", "c.yaml"); }),
            "c.yaml: data.train: missing; expected a list with at least one item, each item "
            "non-empty text\n"
            "c.yaml: data.steps: missing; expected a whole number greater than 0");
  EXPECT_EQ(sample::error_of([] { parse<NeedsBelow>("# x\ndata:\n  steps: 3\n", "c.yaml"); }),
            "c.yaml:2: data.train: missing; expected a list with at least one item, each item "
            "non-empty text");
  EXPECT_EQ(parse<NeedsBelow>("data: {train: [a], steps: 3}", "c.yaml").data.steps, 3);
}

}  // namespace
}  // namespace sluice::config
