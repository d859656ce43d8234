// Mappings with free keys (Entries, Rest), unparsed words, and rows embedded with rows_of.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/base/temporary_directory.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using sample::error_of;

struct Choices {
  Entries<std::vector<Word>> grid;
  std::vector<std::uint64_t> seeds;
  static constexpr auto fields() {
    return std::tuple{field<&Choices::grid>("Values to try.", Rest{}, NonEmpty{}),
                      field<&Choices::seeds>("Seeds.", NonEmpty{})};
  }
};
struct Varied {
  Entries<std::vector<Word>> vary;
  Entries<Word> baseline;
  std::optional<Choices> tune;
  static constexpr auto fields() {
    return std::tuple{field<&Varied::vary>("Varied settings.", NonEmpty{}),
                      field<&Varied::baseline>("Baseline."),
                      field<&Varied::tune>("Tuned settings.")};
  }
};
struct Larger {
  sample::Root root;
  std::optional<Varied> compare;
  static constexpr auto fields() {
    return std::tuple{rows_of<&Larger::root>(),
                      field<&Larger::compare>("Several runs.", Affects::kLabel)};
  }
};

using Lists = std::vector<std::pair<std::string, std::vector<Word>>>;

TEST(Entries, KeepKeysAndWordsUnparsed) {
  const auto c = parse<Varied>(
      "vary: {model.ffn: [relu, swiglu], lr: [1e-3, \"3\", true]}\nbaseline: {model.ffn: relu}\n",
      "c.yaml");
  EXPECT_EQ(c.vary.items, (Lists{{"model.ffn", {{"relu", false}, {"swiglu", false}}},
                                 {"lr", {{"1e-3", false}, {"3", true}, {"true", false}}}}));
  EXPECT_EQ(c.baseline.items.at(0), (std::pair<std::string, Word>("model.ffn", {"relu", false})));
  EXPECT_FALSE(c.tune);
}

TEST(Entries, AListIsOneValue) {
  const std::string flow = "vary: {betas: [[0.9, 0.95], [0.9, \"a, b\", [1]]]}\n";
  const auto c = parse<Varied>(flow, "c.yaml");
  EXPECT_EQ(c.vary.items,
            (Lists{{"betas", {{"[0.9, 0.95]", false}, {"[0.9, \"a, b\", [1]]", false}}}}));
  EXPECT_NE(to_yaml(c, Comments::kNone).find(flow), std::string::npos);
  EXPECT_EQ(parse<Varied>("vary:\n  betas:\n  - [0.9, 0.95]\n  - - 0.9\n    - a, b\n    - [1]\n",
                          "c.yaml")
                .vary,
            c.vary);
  EXPECT_THROW(parse<Varied>("vary: {betas: [[{a: 1}]]}", "c.yaml"), UserError);
  EXPECT_THROW(parse<Varied>("vary: {betas: [[null]]}", "c.yaml"), UserError);
}

TEST(Entries, NestedMappingsAreDottedKeys) {
  const auto dotted = parse<Varied>("vary: {model.ffn: [relu], model.d_ff: [1, 2]}", "c.yaml");
  const auto nested = parse<Varied>("vary: {model: {ffn: [relu], d_ff: [1, 2]}}", "c.yaml");
  EXPECT_EQ(dotted.vary, nested.vary);
}

TEST(Entries, OverridesReplaceValuesOfTheFile) {
  const sluice::testing::TemporaryDirectory directory;
  std::ofstream(directory / "c.yaml")
      << "vary: {a.b: [x], c: [y]}\ntune: {a.lr: [5], seeds: [3]}\n";
  const auto c = load<Varied>({.file = directory / "c.yaml",
                               .overrides = {"vary.a.b=[z]", "tune.a.lr=[1]", "tune.seeds=[7]"}});
  EXPECT_EQ(c.vary.items, (Lists{{"a.b", {{"z", false}}}, {"c", {{"y", false}}}}));
  EXPECT_EQ(c.tune->grid.items, (Lists{{"a.lr", {{"1", false}}}}));
  EXPECT_EQ(c.tune->seeds, (std::vector<std::uint64_t>{7}));
}

TEST(Entries, TheRestHoldsKeysWithoutARow) {
  const auto c = parse<Varied>(
      "vary: {a: [x]}\ntune: {optimizer.lr: [1e-3], seeds: [3, 4], wd: [0]}\n", "c.yaml");
  EXPECT_EQ(c.tune->grid.items,
            (Lists{{"optimizer.lr", {{"1e-3", false}}}, {"wd", {{"0", false}}}}));
  EXPECT_EQ(c.tune->seeds, (std::vector<std::uint64_t>{3, 4}));
}

TEST(Entries, WrittenTextReadsBack) {
  const std::string text =
      "vary: {model.ffn: [relu, \"3\"], \"a b\": [0.1]}\nbaseline: {}\ntune:\n  optimizer.lr: "
      "[1e-3, 3e-3]\n  seeds: [3]\n";
  const auto c = parse<Varied>(text, "c.yaml");
  EXPECT_EQ(to_yaml(c, Comments::kNone), text);
  EXPECT_EQ(to_yaml(parse<Varied>(to_yaml(c), "c.yaml")), to_yaml(c));
  std::string many = "vary: {";
  for (int i = 0; i < 30; ++i) many += "key_" + std::to_string(i) + ": [value],";
  const auto wide = parse<Varied>(many + "}", "c.yaml");
  EXPECT_EQ(parse<Varied>(to_yaml(wide), "c.yaml").vary, wide.vary);
}

TEST(Entries, ReportProblems) {
  const auto problem = [](std::string_view yaml) {
    return error_of([&] { parse<Varied>(yaml, "c.yaml"); });
  };
  EXPECT_EQ(problem("baseline: {}"),
            "c.yaml: vary: missing; expected a mapping from keys to values, with at least one key; "
            "each value a list with at least one item, each item a non-empty value");
  EXPECT_NE(
      problem("vary: [relu]")
          .find("c.yaml:1: vary: received a list of 1; expected a mapping from keys to values"),
      std::string::npos);
  EXPECT_NE(problem("vary: {a: relu}").find("c.yaml:1: vary.a: received `relu`; expected a list"),
            std::string::npos);
  EXPECT_NE(problem("vary: {a.b: [x], a: {b: [y]}}")
                .find("vary.a.b: duplicate key; expected unique keys"),
            std::string::npos);
  EXPECT_NE(problem("vary: {a: []}").find("vary.a: received an empty list"), std::string::npos);
  EXPECT_NE(problem("vary: {a: [[{b: 1}]]}").find("vary.a[0]: received a list of 1"),
            std::string::npos);
  EXPECT_NE(problem("vary: {a: [x]}\ntune: {seeds: [1]}")
                .find("tune: received a mapping; expected a mapping from keys"),
            std::string::npos);
}

TEST(RowsOf, ReadsAndChecksEmbeddedRows) {
  const auto c = parse<Larger>(
      "model: {d_model: 96, num_heads: 4}\ncompare: {vary: {model.ffn: [relu]}}\n", "c.yaml");
  EXPECT_EQ(c.root.model.d_model, 96);
  EXPECT_TRUE(c.compare);
  EXPECT_NE(error_of([] {
              parse<Larger>("model: {d_model: 96, num_heads: 5}", "c.yaml");
            }).find("a divisor of d_model"),
            std::string::npos);
  EXPECT_NE(
      error_of([] { parse<Larger>("compere: {}", "c.yaml"); }).find("(did you mean `compare`?)"),
      std::string::npos);
  sample::Root root = c.root;
  EXPECT_EQ(to_yaml(root, Comments::kNone) + "compare: null\n",
            to_yaml(Larger{root, {}}, Comments::kNone));
}

TEST(RowsOf, CoversChangesSchemaAndReference) {
  Larger before, after;
  after.root.model.d_model = 8;
  after.compare = Varied{.vary = {{{"a", {{"x", false}}}}}, .baseline = {}, .tune = {}};
  const auto changed = changes(before, after);
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_EQ(changed[0].path, "model.d_model");
  EXPECT_EQ(changed[1].path, "compare");
  EXPECT_EQ(changed[1].affects, Affects::kLabel);
  const auto schema = nlohmann::json::parse(json_schema<Larger>());
  const auto compare = schema["properties"]["compare"]["anyOf"][1]["properties"];
  EXPECT_EQ(compare["vary"]["additionalProperties"]["type"], "array");
  EXPECT_EQ(compare["vary"]["minProperties"], 1);
  EXPECT_EQ(compare["tune"]["anyOf"][1]["additionalProperties"]["type"], "array");
  EXPECT_FALSE(compare["tune"]["anyOf"][1]["properties"].contains("grid"));
  const std::string page = reference_page<Larger>();
  EXPECT_NE(page.find("## `compare.tune`"), std::string::npos);
  EXPECT_NE(page.find("| any other key | a mapping from keys"), std::string::npos);
}

TEST(Settings, OverrideOverridesAndAreNamedInErrors) {
  const auto root = load<sample::Root>({.file = {},
                                        .overrides = {"model.d_model=8", "model.num_heads=1"},
                                        .settings = {{"vary", "model.d_model=16"}}});
  EXPECT_EQ(root.model.d_model, 16);
  const std::string problem = error_of([] {
    load<sample::Root>(
        {.file = {}, .overrides = {}, .settings = {{"compare.vary", "model.fnn=relu"}}});
  });
  EXPECT_EQ(problem.find("compare.vary.model.fnn: unknown key"), 0U) << problem;
  EXPECT_NE(problem.find("(did you mean `ffn`?)"), std::string::npos);
}

}  // namespace
}  // namespace sluice::config
