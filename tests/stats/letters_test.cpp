#include "stats/letters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace sluice::stats {
namespace {

using Order = std::vector<std::size_t>;
using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;
using Texts = std::vector<std::string>;

Order identity(std::size_t n) {
  Order order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

// "ab'" → {"a", "b'"}
std::set<std::string> letters_in(const std::string& text) {
  std::set<std::string> letters;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = std::min(text.find_first_not_of('\'', i + 1), text.size());
    EXPECT_TRUE(letters.insert(text.substr(i, end - i)).second) << "twice in " << text;
    i = end;
  }
  return letters;
}

bool share(const std::string& a, const std::string& b) {
  const std::set<std::string> of_a = letters_in(a), of_b = letters_in(b);
  return std::any_of(of_a.begin(), of_a.end(),
                     [&](const std::string& letter) { return of_b.contains(letter); });
}

void expect_correct(const Texts& texts, const Pairs& significant) {
  for (std::size_t a = 0; a < texts.size(); ++a) {
    EXPECT_FALSE(texts[a].empty());
    for (std::size_t b = a + 1; b < texts.size(); ++b) {
      const bool differ = std::count(significant.begin(), significant.end(), std::pair(a, b)) > 0;
      EXPECT_EQ(share(texts[a], texts[b]), !differ)
          << a << " " << texts[a] << ", " << b << " " << texts[b];
    }
  }
}

TEST(Letters, SmallCases) {
  EXPECT_EQ(compact_letters({}, {}), Texts{});
  EXPECT_EQ(compact_letters(identity(1), {}), Texts{"a"});
  EXPECT_EQ(compact_letters(identity(3), {}), (Texts{"a", "a", "a"}));
  EXPECT_EQ(compact_letters(identity(3), Pairs{{0, 1}, {0, 2}, {1, 2}}), (Texts{"a", "b", "c"}));
  EXPECT_EQ(compact_letters(identity(3), Pairs{{0, 2}}), (Texts{"a", "ab", "b"}));
  EXPECT_EQ(compact_letters(Order{2, 1, 0}, Pairs{{0, 2}}), (Texts{"b", "ab", "a"}))
      << "the first in the order has letter a";
}

// Possible only with unequal errors: the middle differs from both ends, but the ends do not differ.
TEST(Letters, SupportsPatternsThatAreNotIntervals) {
  const Pairs significant{{0, 1}, {1, 2}};
  EXPECT_EQ(compact_letters(identity(3), significant), (Texts{"a", "b", "a"}));
}

// The defining property, for any pattern of significance and any order. No letter is redundant.
TEST(Letters, SharedIfAndOnlyIfNotSignificant) {
  for (std::uint64_t trial = 0; trial < 400; ++trial) {
    const std::uint64_t key = random_key(trial, "letters");
    const std::size_t n = 1 + random_below(key, 0, 9);
    const double share_significant = random_uniform(key, 1);
    Pairs significant;
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = a + 1; b < n; ++b)
        if (random_uniform(key, 100 + a * n + b) < share_significant)
          significant.emplace_back(a, b);
    Order order = identity(n);
    for (std::size_t i = n; i > 1; --i)
      std::swap(order[i - 1], order[random_below(key, 10 + i, i)]);
    const Texts texts = compact_letters(order, significant);
    expect_correct(texts, significant);
    EXPECT_TRUE(letters_in(texts[order.front()]).contains("a"));
    std::set<std::string> all;
    for (const std::string& text : texts) all.merge(letters_in(text));
    for (const std::string& letter : all)
      for (const std::string& other : all) {
        if (letter == other) continue;
        const auto holds_only_one = [&](const std::string& text) {
          return letters_in(text).contains(letter) && !letters_in(text).contains(other);
        };
        EXPECT_TRUE(std::any_of(texts.begin(), texts.end(), holds_only_one))
            << letter << " is contained in " << other;
      }
    Pairs reversed(significant.rbegin(), significant.rend());
    expect_correct(compact_letters(order, reversed), significant);
  }
}

TEST(Letters, ContinueBeyondTheAlphabet) {
  const std::size_t n = 60;
  Pairs significant;
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b < n; ++b) significant.emplace_back(a, b);
  const Texts texts = compact_letters(identity(n), significant);
  EXPECT_EQ(texts[25], "z");
  EXPECT_EQ(texts[26], "A");
  EXPECT_EQ(texts[51], "Z");
  EXPECT_EQ(texts[52], "a'");
  EXPECT_EQ((std::set<std::string>(texts.begin(), texts.end())).size(), n);
}

TEST(Letters, RejectsInvalidArguments) {
  EXPECT_THROW(compact_letters(Order{0, 0}, {}), InvariantError);
  EXPECT_THROW(compact_letters(Order{0, 2}, {}), InvariantError);
  EXPECT_THROW(compact_letters(identity(2), Pairs{{0, 2}}), InvariantError);
  EXPECT_THROW(compact_letters(identity(2), Pairs{{1, 1}}), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
