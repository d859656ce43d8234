// Suggestions for unknown keys, and messages for command-line arguments.
#include "config/suggest.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/aliases.h"
#include "config/read.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using Paths = std::vector<std::string>;

TEST(Folded, IsEqualForAllSpellings) {
  for (const char* text :
       {"hidden_size", "hiddenSize", "HIDDEN-SIZE", "hidden size", "hidden.size"})
    EXPECT_EQ(folded(text), "hiddensize") << text;
  EXPECT_EQ(folded("_-"), "");
  EXPECT_EQ(folded("\xC3\xA9t\xC3\xA9"), "t");
}

TEST(Aliases, MatchAnySpelling) {
  EXPECT_EQ(names_for(AliasKind::kKey, "n_embd"), std::vector<std::string_view>{"model.d_model"});
  EXPECT_EQ(names_for(AliasKind::kKey, "N-Embd"), std::vector<std::string_view>{"model.d_model"});
  EXPECT_EQ(names_for(AliasKind::kKey, "hidden_dim"),
            (std::vector<std::string_view>{"model.d_model", "model.d_ff"}));
  EXPECT_EQ(names_for(AliasKind::kKey, "silu"), std::vector<std::string_view>{});  // a value
  EXPECT_EQ(names_for(AliasKind::kKey, ""), std::vector<std::string_view>{});
  EXPECT_EQ(names_for(AliasKind::kKey, std::string(100000, 'n')), std::vector<std::string_view>{});
  const std::vector<std::string_view> names = {"relu", "swish", "swiglu"};
  EXPECT_EQ(suggested("SiLU", names), "swish");
  EXPECT_EQ(suggested("geglu_tanh", names), "");  // geglu is not listed, and no name is close
}

TEST(KeyPaths, FindsANameInAnySection) {
  const KeyPaths keys(describe<sample::Root>());
  EXPECT_TRUE(keys.has("optimizer.momentum"));
  EXPECT_TRUE(keys.has("optimizer.type"));
  EXPECT_TRUE(keys.has("run.extra.lr"));
  EXPECT_FALSE(keys.has("momentum"));
  EXPECT_EQ(keys.candidates("", "d_model"), Paths{"model.d_model"});
  EXPECT_EQ(keys.candidates("run", "DModel"), Paths{"model.d_model"});
  EXPECT_EQ(keys.candidates("model", "hidden_size"), Paths{"model.d_model"});
  EXPECT_EQ(keys.candidates("", "lr"), (Paths{"run.extra.lr", "optimizer.lr", "second.lr"}));
  EXPECT_EQ(keys.candidates("run.extra", "LR"), Paths{"run.extra.lr"});  // the same section
  EXPECT_EQ(keys.candidates("", "max_steps"), Paths{});                  // no such key
  EXPECT_EQ(keys.candidates("model", "type"), Paths{});
  EXPECT_EQ(keys.similar("num_haeds"), Paths{"model.num_heads"});
  EXPECT_EQ(alternatives({"a", "b", "c", "d"}), "a`, `b` or `c");
}

TEST(ReadWord, FollowsTheRulesOfAConfiguration) {
  std::int64_t count = 7;
  EXPECT_EQ(read_word("1e3", {.low = 0, .low_open = true}, count), "");
  EXPECT_EQ(count, 1000);
  EXPECT_EQ(read_word("010", {}, count),
            "received `010`; expected a whole number without leading zeros (did you mean `10`?)");
  EXPECT_EQ(read_word("0", {.low = 0, .low_open = true}, count),
            "received `0`; expected a whole number greater than 0");
  EXPECT_EQ(read_word("99999999999999999999", {}, count),
            "received `99999999999999999999`; expected a whole number of at most "
            "9223372036854775807");
  std::uint64_t seed = 0;
  EXPECT_EQ(read_word("18446744073709551615", {}, seed), "");
  EXPECT_EQ(seed, 18446744073709551615U);
  EXPECT_EQ(read_word("-1", {}, seed), "received `-1`; expected a whole number of at least 0");
  double share = 0;
  EXPECT_EQ(read_word("2.5e-1", {.low = 0, .high = 1}, share), "");
  EXPECT_EQ(share, 0.25);
  EXPECT_EQ(read_word("nan", {}, share), "received `nan`; expected a number");
  EXPECT_EQ(read_word("", {}, share), "received ``; expected a number");
  Auto<std::int64_t> jobs = 3;
  EXPECT_EQ(read_word("auto", {.low = 1, .high = 8}, jobs), "");
  EXPECT_TRUE(jobs.is_word());
  EXPECT_EQ(read_word("9", {.low = 1, .high = 8}, jobs),
            "received `9`; expected `auto` or a whole number from 1 to 8");
}

TEST(Report, EscapesFileNamesToKeepProblemsOnOneLine) {
  const std::string text = sample::error_of(
      [] { parse<sample::Root>("model: {bias: on}\nzz: 1", "c\n1: all is well\x1b[2J.yaml"); });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  const std::string override = sample::override_problems({"a\nb.c=["});
  EXPECT_EQ(std::count(override.begin(), override.end(), '\n'), 0) << override;
  EXPECT_TRUE(text.starts_with("c\\n1: all is well\\x1b[2J.yaml:1: model.bias: received `on`"))
      << text;
}

}  // namespace
}  // namespace sluice::config
