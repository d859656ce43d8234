#include "stats/looks.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "stats/proportion.h"

namespace sluice::stats {
namespace {

// Published values of the spending functions at 5 % two-sided, shares 1/3 and 2/3 (Lan & DeMets;
// R package gsDesign, sfLDOF and sfLDPocock).
TEST(Looks, SpendingFunctions) {
  EXPECT_NEAR(spent_level(Spending::kObrienFleming, 0.05, 1.0 / 3), 0.00068, 1e-5);
  EXPECT_NEAR(spent_level(Spending::kObrienFleming, 0.05, 2.0 / 3), 0.0164, 5e-5);
  EXPECT_NEAR(spent_level(Spending::kObrienFleming, 0.05, 0.5), 0.00557, 1e-5);
  EXPECT_NEAR(spent_level(Spending::kPocock, 0.05, 0.5), 0.0310, 5e-5);
  for (const Spending spending : {Spending::kObrienFleming, Spending::kPocock})
    EXPECT_EQ(spent_level(spending, 0.05, 1), 0.05);
}

// What look k cannot spend, because p has steps of 2/2^s, is left for later looks.
TEST(Looks, LevelsUseAttainableP) {
  const std::vector<std::int64_t> looks{4, 8, 12};
  const std::vector<double> levels = look_levels(looks, Spending::kObrienFleming, 0.05);
  EXPECT_LT(levels[0], 2.0 / 16) << "four seeds cannot find anything";
  EXPECT_NEAR(levels[1], 0.0164, 5e-5);
  EXPECT_NEAR(levels[2], 0.05 - 4.0 / 256, 1e-12);
  EXPECT_EQ(look_levels(std::vector<std::int64_t>{8}, Spending::kPocock, 0.05),
            std::vector<double>{0.05});
}

TEST(Looks, RejectsInvalidLooks) {
  EXPECT_THROW(look_levels(std::vector<std::int64_t>{4, 4}, Spending::kPocock, 0.05),
               InvariantError);
  EXPECT_THROW(look_levels(std::vector<std::int64_t>{1, 4}, Spending::kPocock, 0.05),
               InvariantError);
  EXPECT_THROW(spent_level(Spending::kPocock, 0.05, 0), InvariantError);
}

// scipy.stats.binomtest(k, n).proportion_ci(method="exact")
TEST(Proportion, ClopperPearson) {
  const Interval all = clopper_pearson(8, 8, 0.05), none = clopper_pearson(0, 8, 0.05),
                 some = clopper_pearson(6, 8, 0.05);
  EXPECT_NEAR(all.low, 0.6305833524471, 1e-12);
  EXPECT_EQ(all.high, 1);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.3694166475528, 1e-12);
  EXPECT_NEAR(some.low, 0.3491442055872, 1e-12);
  EXPECT_NEAR(some.high, 0.9681459737501, 1e-12);
  EXPECT_THROW(clopper_pearson(3, 2, 0.05), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
