// The grid, its names, and invalid sections `compare`.
#include "compare/grid.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/config.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

using Pair = std::pair<std::string, std::string>;

CompareConfig parsed(std::string_view yaml) { return config::parse<CompareConfig>(yaml, "c.yaml"); }

std::string problem_of(std::string_view yaml) {
  try {
    parsed(yaml);
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << yaml;
  return "";
}

TEST(Grid, LastKeyChangesFastest) {
  const auto grid =
      expand(parsed("vary: {model.ffn: [relu, geglu], optimizer.lr: [1e-3, 3e-3, 1e-2]}").vary);
  ASSERT_EQ(grid.size(), 6U);
  EXPECT_EQ(grid[1], (Settings{Pair{"model.ffn", "relu"}, Pair{"optimizer.lr", "3e-3"}}));
  EXPECT_EQ(grid[3], (Settings{Pair{"model.ffn", "geglu"}, Pair{"optimizer.lr", "1e-3"}}));
  EXPECT_EQ(stem_of(grid[3]), "geglu-1e-3");
  EXPECT_EQ(overrides_of(grid[3]),
            (std::vector<std::string>{"model.ffn=geglu", "optimizer.lr=1e-3"}));
}

TEST(Grid, KeepsQuotesOnlyIfNeeded) {
  const auto grid = expand(parsed("vary: {a: [\"relu\", \"3\", x y]}").vary);
  EXPECT_EQ(grid[0][0].second, "relu");
  EXPECT_EQ(grid[1][0].second, "\"3\"");
  EXPECT_EQ(stem_of(grid[2]), "x_y");
  EXPECT_EQ(stem_of({Pair{"a", "../../etc"}}), "_.._.._etc");
}

TEST(Grid, FindsTheBaseline) {
  EXPECT_EQ(baseline_of(parsed("vary: {a: [x, y]}")), 0U);
  EXPECT_EQ(baseline_of(parsed("vary: {a: [x, y], b: [1, 2]}\nbaseline: {b: 2, a: y}")), 3U);
}

TEST(Grid, SelectsVariants) {
  const auto grid = expand(parsed("vary: {a: [relu, geglu], lr: [1, 2]}").vary);
  EXPECT_EQ(select_variants(grid, {}).size(), 4U);
  EXPECT_EQ(select_variants(grid, {"geglu"}), (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(select_variants(grid, {"geglu-2", "relu, 1"}), (std::vector<std::size_t>{0, 3}));
  try {
    select_variants(expand(testing::two_variants({1}).vary), {"gegul"});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "--only: received `gegul`; expected a variant of this comparison "
                 "(did you mean `geglu`?):\n  \"relu\"\n  \"geglu\"");
  }
}

TEST(Grid, SplitsNamesAtCommasIfOneKeyVaries) {
  const auto layers = expand(parsed("vary: {a: [relu, geglu, glu]}").vary),
             grid = expand(parsed("vary: {lr: [1e-3, 2e-3], a: [relu, glu]}").vary);
  EXPECT_EQ(select_variants(layers, {"relu, glu "}), (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(select_variants(layers, {"glu", "relu"}), (std::vector<std::size_t>{0, 2}));
  EXPECT_THROW(select_variants(layers, {"relu,"}), UserError);
  EXPECT_EQ(select_variants(grid, {"1e-3,relu", " 2e-3, glu"}), (std::vector<std::size_t>{0, 3}));
  EXPECT_THROW(select_variants(grid, {"relu,glu"}), UserError);
  EXPECT_EQ(select_variants(expand(parsed("vary: {a: [\"x, y\", z]}").vary), {"\"x, y\""}),
            (std::vector<std::size_t>{0}));
}

TEST(Grid, SelectsSeeds) {
  EXPECT_EQ(select_seeds({3, 1, 2}, {}), (std::vector<std::uint64_t>{3, 1, 2}));
  EXPECT_EQ(select_seeds({3, 1, 2}, {2, 3}), (std::vector<std::uint64_t>{3, 2}));
  EXPECT_THROW(select_seeds({1, 2}, {4}), UserError);
}

struct Wrong {
  const char *name, *yaml, *expected;
  friend std::ostream& operator<<(std::ostream& out, const Wrong& wrong) {
    return out << wrong.yaml;
  }
};
class WrongConfig : public ::testing::TestWithParam<Wrong> {};
TEST_P(WrongConfig, IsRefused) {
  EXPECT_NE(problem_of(GetParam().yaml).find(GetParam().expected), std::string::npos)
      << problem_of(GetParam().yaml);
}
INSTANTIATE_TEST_SUITE_P(
    , WrongConfig,
    ::testing::Values(
        Wrong{"TheSameLayerTwice", "vary: {model.ffn: [relu, relu]}",
              "vary.model.ffn: received `relu` twice; expected each value once"},
        Wrong{"SeedsTwice", "vary: {a: [x]}\nseeds: [1, 2, 1]", "seeds: received 1 twice"},
        Wrong{"NoSeeds", "vary: {a: [x]}\nseeds: []", "seeds: received an empty list"},
        Wrong{"Tokenizers", "vary: {tokenizer.vocab_size: [1, 2]}", "expected bits_per_byte"},
        Wrong{"BaselineNotInVary", "vary: {a: [x, y]}\nbaseline: {a: z}",
              "expected one of x, y, as in vary"},
        Wrong{"BaselineKey", "vary: {a: [x, y]}\nbaseline: {b: x}", "expected only keys of vary"},
        Wrong{"BaselineIncomplete", "vary: {a: [x], b: [y]}\nbaseline: {a: x}",
              "baseline.b: missing; expected a value for each key of vary"},
        Wrong{"TuneSeedsShared", "vary: {a: [x]}\nseeds: [1, 2]\ntune: {lr: [1], seeds: [2]}",
              "received seed 2 of compare.seeds"},
        Wrong{"TuneAVariedKey", "vary: {a: [x]}\ntune: {a: [y], seeds: [9]}",
              "tune.a: received a key of vary"},
        Wrong{"TuneWithoutSeeds", "vary: {a: [x]}\ntune: {lr: [1]}", "tune.seeds: missing"},
        Wrong{"TuneSplit", "vary: {a: [x]}\ntune: {lr: [1], seeds: [9], split: valid}",
              "tune.split: received `valid`; expected one of tune"},
        Wrong{"Std", "vary: {a: [x]}\nassumed_std: -1", "assumed_std: received -1"},
        Wrong{"TimeAndSteps", "vary: {train.steps: [1, 2]}\nequalize: time",
              "received `time` with varied training length; expected `steps`"}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace sluice::compare
