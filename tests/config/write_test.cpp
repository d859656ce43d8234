// Written values read back unchanged.
#include "config/write.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::Root;

TEST(Write, WritesComments) {
  const std::string text = to_yaml(Root{});
  EXPECT_NE(text.find("# The model.\nmodel:\n  # Width. [a whole number greater than 0, a multiple "
                      "of 8]\n  d_model: 192\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  # `text`, `lines` or `paragraphs`.\n  format: paragraphs\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\noptimizer:\n  type: adamw\n"), std::string::npos) << text;
  EXPECT_EQ(to_yaml(parse<Root>(text, "again")), text);
}

TEST(Write, WritesWithoutComments) {
  Root root;
  root.optimizer = sample::Plain{};
  root.run.stages = {sample::Muon{}};
  EXPECT_EQ(to_yaml(root, Comments::kNone), R"(run:
  name: run
  seed: 1
  files: []
  note: null
  limit: null
  device: auto
  format: paragraphs
  memory: 64MiB
  wait: 30s
  stages: [{lr: 0.02, momentum: 0.95}]
  extra: null
model:
  d_model: 192
  num_heads: 3
  ffn: swiglu
  d_ff: match
  bias: false
optimizer:
  type: plain
second:
  type: muon
  lr: 0.5
  momentum: 0.25
)");
}

TEST(Write, KeepsLinesWithin100Columns) {
  Root root;
  root.run.files.assign(30, "a/long/path/to/a/file.txt");
  const std::string text = to_yaml(root);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    EXPECT_LE(text.find('\n', at) - at, 100U);
  EXPECT_EQ(parse<Root>(text, "again").run.files, root.run.files);
}

TEST(Write, WrapsWords) {
  EXPECT_EQ(wrapped("aa bb cc", 5), (std::vector<std::string>{"aa bb", "cc"}));
  EXPECT_EQ(wrapped("aaaaaaaaaa b", 5), (std::vector<std::string>{"aaaaaaaaaa", "b"}));
  EXPECT_TRUE(wrapped("", 5).empty());
}

TEST(Write, QuotesAmbiguousText) {
  for (const char* text :
       {"on",    "On",   "OFF",  "yes",  "no",         "y",    "N",        "true",
        "False", "null", "Null", "~",    "",           "010",  "1e5",      "0x10",
        "-1",    "+1",   ".5",   "1:30", "2024-01-01", "nan",  ".inf",     "a: b",
        "a #b",  "#x",   "- a",  "[a]",  "{a}",        "a,b",  "*a",       "&a",
        "!a",    "|",    ">",    "%a",   "@a",         "`a",   "'a'",      "\"a\"",
        "a\\b",  " a",   "a ",   "a\nb", "a\tb",       "\x7F", "\xC2\x85", "\xE2\x80\xA8",
        "<<",    "=",    "?",    "---",  "a:"}) {
    EXPECT_EQ(quoted_if_needed(text).front(), '"') << text;
  }
  for (const char* text : {"run", "data/kjv.txt", "/tmp/x", "a-b_c.d", "On_time", "nothing"})
    EXPECT_EQ(quoted_if_needed(text), text);
  EXPECT_EQ(quoted_if_needed("auto", "auto"), "\"auto\"");
}

// Random values of every kind. Text favors characters with a meaning in YAML.
class RandomRoot {
 public:
  explicit RandomRoot(std::uint64_t seed) : bits_(seed) {}

  Root next() {
    Root root;
    root.run.name = text() + "x";
    root.run.seed = bits_();
    for (std::uint64_t n = bits_() % 4; n > 0; --n) root.run.files.push_back(text());
    if (coin()) root.run.note = text();
    if (coin()) root.run.limit = 0.5 + std::abs(number());
    if (coin()) root.run.device = text();
    root.run.format = static_cast<sample::Format>(bits_() % 3);
    root.run.memory.count = 1 + static_cast<std::int64_t>(bits_() >> (1 + bits_() % 62));
    root.run.wait.count = coin() ? static_cast<double>(bits_() % 100000) : std::abs(number());
    for (std::uint64_t n = bits_() % 3; n > 0; --n) root.run.stages.push_back(muon());
    if (coin()) root.run.extra = muon();
    root.model.d_model = 8 * static_cast<std::int64_t>(1 + bits_() % 1000);
    root.model.num_heads = 1 << bits_() % 4;
    root.model.ffn = RowOf<sample::kVariants>::at(bits_() % 3);
    if (coin()) root.model.d_ff = static_cast<std::int64_t>(1 + bits_() % 1000000);
    root.model.bias = coin();
    if (coin()) root.optimizer = muon();
    if (coin()) root.second = sample::AdamW{.lr = positive(), .betas = {share(), share()}};
    if (bits_() % 8 == 0) root.optimizer = sample::Plain{};
    return root;
  }

  std::string text() {
    static constexpr std::array<std::string_view, 44> kPieces = {"a",
                                                                 "b",
                                                                 "on",
                                                                 "no",
                                                                 "null",
                                                                 "~",
                                                                 "0",
                                                                 "1",
                                                                 "e",
                                                                 "x",
                                                                 ".",
                                                                 "-",
                                                                 "+",
                                                                 ":",
                                                                 ": ",
                                                                 " #",
                                                                 "#",
                                                                 " ",
                                                                 "  ",
                                                                 ",",
                                                                 "[",
                                                                 "]",
                                                                 "{",
                                                                 "}",
                                                                 "\n",
                                                                 "\r",
                                                                 "\t",
                                                                 "'",
                                                                 "\"",
                                                                 "\\",
                                                                 "|",
                                                                 ">",
                                                                 "&",
                                                                 "*",
                                                                 "!",
                                                                 "%",
                                                                 "@",
                                                                 "`",
                                                                 "\xC3\xA9",
                                                                 "\xE2\x82\xAC",
                                                                 "\xF0\x9F\x98\x80",
                                                                 "\xE2\x80\xA8",
                                                                 "\x01",
                                                                 "\xEF\xBB\xBF"};
    std::string out;
    for (std::uint64_t n = bits_() % 6; n > 0; --n) out += kPieces[bits_() % kPieces.size()];
    return out;
  }

 private:
  bool coin() { return bits_() % 2 == 0; }
  // Any finite double.
  double number() {
    double value = std::bit_cast<double>(bits_());
    while (!std::isfinite(value) || std::abs(value) > 1e300) value = std::bit_cast<double>(bits_());
    return value;
  }
  double positive() { return std::abs(number()) + 4.9e-324; }
  double share() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  sample::Muon muon() { return {.lr = positive(), .momentum = share()}; }
  std::mt19937_64 bits_;
};

TEST(Write, RandomValuesReadBackExactly) {
  RandomRoot random(7);
  for (int i = 0; i < 1000; ++i) {
    const Root root = random.next();
    const std::string text = to_yaml(root, i % 2 == 0 ? Comments::kDocs : Comments::kNone);
    const Root again = parse<Root>(text, "again");
    ASSERT_EQ(to_yaml(again), to_yaml(root)) << text;
    ASSERT_TRUE(changes(root, again).empty());
    // Independent of the writer: compares some members directly.
    ASSERT_EQ(again.run.name, root.run.name);
    ASSERT_EQ(again.run.files, root.run.files);
    ASSERT_EQ(again.run.note, root.run.note);
    ASSERT_EQ(again.run.device, root.run.device);
    ASSERT_EQ(again.run.limit, root.run.limit);
    ASSERT_EQ(again.run.memory, root.run.memory);
    ASSERT_EQ(again.run.wait, root.run.wait);
    ASSERT_EQ(again.optimizer.index(), root.optimizer.index());
  }
}

TEST(Write, FlowValuesAreOverrides) {
  RandomRoot random(11);
  for (int i = 0; i < 300; ++i) {
    const Root root = random.next();
    std::vector<std::string> overrides;
    for (const Row& row : describe<Root>().rows)
      overrides.push_back(std::string(row.name) + "=" + write_flow(row.type, row.get(&root)));
    ASSERT_TRUE(changes(root, sample::with_overrides(overrides)).empty());
  }
}

}  // namespace
}  // namespace sluice::config
