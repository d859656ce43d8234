#include "train/gradient_buckets.h"

#include <gtest/gtest.h>

namespace sluice::train {
namespace {

using ops::ArenaRange;

std::vector<std::vector<ArenaRange>> ranges_of(const GradientBuckets& buckets) {
  std::vector<std::vector<ArenaRange>> all;
  for (std::size_t i = 0; i < buckets.size(); ++i)
    all.emplace_back(buckets[i].begin(), buckets[i].end());
  return all;
}

using Ranges = std::vector<std::vector<ArenaRange>>;
// From the last to the first, as a decoder's; 0 to 9, 70 to 79 and 95 to 99 belong to none.
const std::vector<ArenaRange> kDecoderSections = {{80, 95}, {50, 70}, {30, 50}, {10, 30}};

TEST(GradientBuckets, JoinSectionsUpToTheSize) {
  EXPECT_EQ(ranges_of(GradientBuckets(100)), (Ranges{{{0, 100}}}));
  const std::vector<ArenaRange> rest = {{0, 10}, {70, 80}, {95, 100}};
  EXPECT_EQ(ranges_of(GradientBuckets(100, kDecoderSections, 0)),
            (Ranges{{{80, 95}}, {{50, 70}}, {{30, 50}}, {{10, 30}}, rest}));
  EXPECT_EQ(ranges_of(GradientBuckets(100, kDecoderSections, 35)),
            (Ranges{{{50, 70}, {80, 95}}, {{10, 50}}, rest}));
  // What does not reach the size waits for the end.
  EXPECT_EQ(ranges_of(GradientBuckets(100, kDecoderSections, 36)),
            (Ranges{{{30, 70}, {80, 95}}, {{0, 30}, {70, 80}, {95, 100}}}));
  EXPECT_EQ(ranges_of(GradientBuckets(100, kDecoderSections, 76)), (Ranges{{{0, 100}}}));
}

TEST(GradientBuckets, AreFinalInTurn) {
  GradientBuckets buckets(100, kDecoderSections, 35);
  for (int pass = 0; pass < 2; ++pass) {
    buckets.reset();
    EXPECT_EQ(buckets.num_final(), 0);
    buckets.mark(kDecoderSections[0]);
    EXPECT_EQ(buckets.num_final(), 0);
    // In another order than expected: the second bucket waits for the first.
    buckets.mark(kDecoderSections[2]);
    buckets.mark(kDecoderSections[3]);
    EXPECT_EQ(buckets.num_final(), 0);
    buckets.mark(kDecoderSections[1]);
    EXPECT_EQ(buckets.num_final(), 2);
  }
}

}  // namespace
}  // namespace sluice::train
