#include "data/holdout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "data/sample.h"

namespace sluice::data {
namespace {

std::vector<Hash128> hashes(int count) {
  std::vector<Hash128> all;
  for (int i = 0; i < count; ++i) all.push_back(holdout_hash(cat("document ", i)));
  return all;
}

TEST(Holdout, FractionHoldsOutTheShare) {
  const auto all = hashes(20'000);
  for (const double share : {0.01, 0.05, 0.5, 0.9}) {
    const Holdout holdout = Holdout::fraction(share);
    const auto count = std::count_if(all.begin(), all.end(),
                                     [&](const Hash128& hash) { return holdout.contains(hash); });
    EXPECT_NEAR(static_cast<double>(count), 20'000 * share,
                4 * std::sqrt(20'000 * share * (1 - share)))
        << share;
  }
  const auto none = Holdout::fraction(0);
  EXPECT_TRUE(std::none_of(all.begin(), all.end(),
                           [&](const Hash128& hash) { return none.contains(hash); }));
}

TEST(Holdout, FractionBounds) {
  const Holdout half = Holdout::fraction(0.5);
  EXPECT_TRUE(half.contains({.high = (std::uint64_t{1} << 63) - 1, .low = ~std::uint64_t{0}}));
  EXPECT_FALSE(half.contains({.high = std::uint64_t{1} << 63, .low = 0}));
  EXPECT_FALSE(Holdout::none().contains({}));
}

TEST(Holdout, RangeIsTheDifferenceOfTwoFractions) {
  const auto all = hashes(5000);
  for (const auto& [begin, end] :
       {std::pair{0.0, 0.1}, {0.05, 0.1}, {0.3, 0.9}, {0.2, 0.2}, {0.0, 0.0}}) {
    const Holdout range = Holdout::between(begin, end), low = Holdout::fraction(begin),
                  high = Holdout::fraction(end);
    for (const Hash128& hash : all)
      ASSERT_EQ(range.contains(hash), high.contains(hash) && !low.contains(hash))
          << begin << ", " << end;
  }
  const Holdout upper = Holdout::between(0.25, 0.5);
  EXPECT_TRUE(upper.contains({.high = std::uint64_t{1} << 62, .low = 0}));
  EXPECT_FALSE(upper.contains({.high = (std::uint64_t{1} << 62) - 1, .low = ~std::uint64_t{0}}));
  EXPECT_THROW(Holdout::between(0.5, 0.4), InvariantError);
  EXPECT_THROW(Holdout::between(0.5, 1), InvariantError);
}

TEST(Holdout, CountSelectsTheLowestHashes) {
  auto all = hashes(1000);
  for (const std::uint64_t count : {1, 10, 999, 1000, 5000}) {
    LowestHashes lowest(count);
    for (const Hash128& hash : all) lowest.add(hash);
    for (const Hash128& hash : all) lowest.add(hash);  // duplicates change nothing
    const Holdout holdout = lowest.holdout();
    auto sorted = all;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i)
      ASSERT_EQ(holdout.contains(sorted[i]), i < count) << i;
  }
}

TEST(TextSample, KeepsEverythingThatFits) {
  TextSample sample(1000);
  for (const char* text : {"b", "a", "", "c", "a"}) sample.add(text);
  auto texts = std::move(sample).take();
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(TextSample, IsBoundedUniformAndOrderIndependent) {
  std::vector<std::string> blocks;
  for (int i = 0; i < 2000; ++i)
    blocks.push_back(cat("block ", i, ' ', std::string(static_cast<std::size_t>(i % 90), 'x')));
  TextSample forward(10'000), backward(10'000);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    forward.add(blocks[i]);
    backward.add(blocks[blocks.size() - 1 - i]);
  }
  const auto texts = std::move(forward).take();
  EXPECT_EQ(texts, std::move(backward).take());
  std::size_t size = 0, early = 0;
  for (const std::string& text : texts) {
    size += text.size();
    early += text.size() > 6 && std::stoi(text.substr(6)) < 1000;
  }
  EXPECT_LE(size, 10'000U);
  EXPECT_GT(size, 9'800U);
  // both halves of the corpus
  EXPECT_NEAR(static_cast<double>(early) / static_cast<double>(texts.size()), 0.5, 0.15);
}

TEST(TextSample, CutsASingleBlockBetweenCharacters) {
  TextSample sample(4);
  sample.add("a\xC3\xA9\xC3\xA9\xC3\xA9");
  EXPECT_EQ(std::move(sample).take(), std::vector<std::string>{"a\xC3\xA9"});
}

}  // namespace
}  // namespace sluice::data
