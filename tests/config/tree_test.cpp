// YAML features beyond plain data are refused, in bounded time and memory.
#include "config/tree.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/machine.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

Node tree_of(std::string_view yaml) {
  Report report;
  NodeBudget budget;
  Node root = read_tree(yaml, report.add_source("t.yaml"), "", report, budget);
  report.throw_if_any();
  return root;
}

std::string problem_of(std::string_view yaml) {
  return sample::error_of([&] { tree_of(yaml); });
}

bool starts_with(const std::string& text, std::string_view start) {
  return text.starts_with(start);
}

TEST(Tree, KeepsRawTextAndPositions) {
  const Node root = tree_of("a: on\nb:\n  - 010\n  - \"x\"\nc: ~\n");
  ASSERT_TRUE(root.is_mapping());
  ASSERT_EQ(root.children.size(), 3U);
  EXPECT_EQ(root.find("a")->text, "on");
  EXPECT_EQ(root.find("a")->form, Node::Form::kPlain);
  const Node& list = *root.find("b");
  ASSERT_EQ(list.children.size(), 2U);
  EXPECT_EQ(list.children[0].text, "010");
  EXPECT_EQ(list.children[1].form, Node::Form::kQuoted);
  EXPECT_EQ(list.children[1].mark.line, 4);
  EXPECT_EQ(list.children[1].mark.column, 5);
  EXPECT_EQ(root.find("c")->form, Node::Form::kNull);
  EXPECT_EQ(root.find("d"), nullptr);
}

TEST(Tree, EmptyTextsAreNull) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "\xEF\xBB\xBF"})
    EXPECT_EQ(tree_of(text).form, Node::Form::kNull) << text;
}

TEST(Tree, AliasesAreCopied) {
  const Node root = tree_of("a: &x [1, {k: v}]\nb: *x\n");
  ASSERT_EQ(root.find("b")->children.size(), 2U);
  EXPECT_EQ(root.find("b")->children[1].find("k")->text, "v");
  EXPECT_EQ(root.find("b")->mark.line, 2);
}

TEST(Tree, DuplicateKeysAreReportedWithBothLines) {
  EXPECT_EQ(problem_of("a: 1\nb: 2\na: 3\n"),
            "t.yaml:3: duplicate key `a` (first on line 1); expected unique keys");
  EXPECT_TRUE(starts_with(problem_of("{a: 1, a: 2}"), "t.yaml:1: duplicate key `a`"));
  EXPECT_TRUE(starts_with(problem_of("x:\n  a: {}\n  \"a\": 2\n"), "t.yaml:3: duplicate key `a`"));
  EXPECT_EQ(tree_of("a: {k: 1}\nb: {k: 2}\n").children.size(), 2U);
}

TEST(Tree, RefusesYamlBeyondPlainData) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: &x {b: 1}\nc:\n  <<: *x\n", "t.yaml:3: received the merge key `<<`"},
      {"a: !!str 4\n", "t.yaml:1: received the tag"},
      {"a: !mine [4]\n", "t.yaml:1: received the tag"},
      {"a: 1\n---\nb: 2\n", "t.yaml:2:1: received a second document"},
      {"a: 1\n...\nb: 2\n", "t.yaml:3:1: received a second document"},
      {"a: &x [*x]\n", "t.yaml:1:8: received an alias to itself"},
      {"a: &x {b: *x}\n", "t.yaml:1:11: received an alias to itself"},
      {"a: *x\n", "t.yaml:1:4: received malformed YAML"},
      {"a: &x k\n*x : 3\n", "t.yaml:2:1: received an alias as a key"},
      {"? [a]\n: 1\n", "t.yaml:1:3: received a list or mapping as a key"},
      {"~: 1\n", "t.yaml:1:1: received null as a key"},
      {"a: [1\n", "t.yaml:2:1: received malformed YAML"},
      {"a: 'x\n", "t.yaml:2:2: received malformed YAML"},
      {"a: \"x", "t.yaml:2:2: received malformed YAML"},
      {"a: \"x\n", "t.yaml:2:2: received malformed YAML"},
      {"a:\n\tb: 1\n", "t.yaml:2:"},
      {"a: 1\n b: 2\n", "t.yaml:2:"},
      {"a: \xFF\n", "t.yaml:1:4: received the byte"},
      {"a: 1\nb: \xC0\x80\n", "t.yaml:2:4: received the byte"},
      {"a: \xED\xA0\x80\n", "t.yaml:1:4: received the byte"},
      {"a: \xF4\x90\x80\x80\n", "t.yaml:1:4: received the byte"},
      {"a: \xE2\x82", "t.yaml:1:4: received the byte"},
      {"a: \x01\n", "t.yaml:1:4: received the byte"},
      {"\xFF\xFE"
       "a",
       "t.yaml:1:1: received the byte"},
      {"%YAML 99999999999999999999.1\n---\na: 1\n", "t.yaml:1:1: received malformed YAML"},
  };
  for (const auto& [yaml, start] : cases)
    EXPECT_TRUE(starts_with(problem_of(yaml), start)) << yaml << "\n" << problem_of(yaml);
  EXPECT_TRUE(
      starts_with(problem_of(std::string_view("a: \0b", 5)), "t.yaml:1:4: received the byte"));
}

TEST(Tree, GivesHintsForTabsAndIndentation) {
  EXPECT_NE(problem_of("a:\n\tb: 1\n").find("spaces, not tabs"), std::string::npos);
  EXPECT_NE(problem_of("a:\n  b: 1\n c: 2\n").find("equal indentation"), std::string::npos);
}

std::string repeated(std::string_view unit, std::size_t size_bytes) {
  std::string text;
  while (text.size() + unit.size() <= size_bytes) text += unit;
  return text;
}

TEST(Tree, DepthIsBounded) {
  const auto nested = [](int levels) {
    return std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']');
  };
  EXPECT_NO_THROW(tree_of(nested(kMaxDepth)));
  EXPECT_NE(problem_of(nested(kMaxDepth + 1)).find("nested too deeply"), std::string::npos);
  // Also through aliases: each line adds ten levels.
  std::string yaml = "a0: &a0 x\n";
  for (int i = 1; i < 10; ++i) {
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " " + std::string(10, '[') +
            "*a" + std::to_string(i - 1) + std::string(10, ']') + "\n";
  }
  EXPECT_NE(problem_of(yaml).find("nested too deeply"), std::string::npos);
}

TEST(Tree, AliasExpansionIsBounded) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
            repeated("*a" + std::to_string(i - 1) + ",", 40) + "]\n";
  }
  EXPECT_NE(problem_of(yaml).find("alias expansion beyond the limit"), std::string::npos);
}

TEST(Tree, LongTextsAreRefused) {
  EXPECT_NO_THROW(tree_of("a: " + std::string(kMaxTextBytes - 3, 'x')));
  EXPECT_NE(problem_of("a: " + std::string(kMaxTextBytes - 2, 'x')).find("at most"),
            std::string::npos);
}

// Maximum-size texts of constructs that are expensive to parse. The bounds allow for a loaded
// machine.
TEST(Tree, HostileTextsTakeBoundedTimeAndMemory) {
  const double start_s = monotonic_s();
  const std::uint64_t memory_before = peak_memory_bytes();
  for (const char* unit : {"[",     "{",      "- ",      "? ",       "a: ",     "a,",
                           "a:\n",  "\"a\" ", "&a ",     "- &a x\n", "!a ",     "# x\n",
                           "---\n", ":",      "{a: ",    "[a: ",     "[],",     "[? ",
                           "word ", "word\n", "\"\\x41", "]",        "|\n",     "- >\n  a\n",
                           "*a ",   "\r",     "%A b\n",  "'",        "- - a\n", "a: b, "}) {
    for (const char* start : {"", "["}) {
      Report report;
      NodeBudget budget;
      read_tree(start + repeated(unit, kMaxTextBytes - 16), report.add_source("t"), "", report,
                budget);
    }
  }
  EXPECT_LT(monotonic_s() - start_s, 60);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(peak_memory_bytes() - memory_before, 64U << 20);
#else
  (void)memory_before;
#endif
}

}  // namespace
}  // namespace sluice::config
