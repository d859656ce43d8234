#include "stats/power.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace sluice::stats {
namespace {

const Design kPaper{.num_variants = 8, .num_seeds = 8, .std = 0.005};

TEST(Power, TheDetectableDifferenceHasTheStatedPower) {
  for (const std::int64_t variants : {2, 3, 8, 20})
    for (const std::int64_t seeds : {6, 7, 8, 10, 100}) {
      const Design design{.num_variants = variants, .num_seeds = seeds, .std = 0.005};
      const double detectable = *detectable_difference(design);
      EXPECT_NEAR(*power_of(design, detectable), 0.8, 1e-9) << variants << " × " << seeds;
      EXPECT_NEAR(*power_of(design, -detectable), 0.8, 1e-9) << variants << " × " << seeds;
    }
}

// With many seeds t is normal: the textbook formula D = (z_{1 − α/(2m)} + z_0.8) σ √(2/s).
TEST(Power, ManySeedsGiveTheNormalFormula) {
  const Design design{.num_variants = 8, .num_seeds = 700'000, .std = 0.005};
  const double z_level = 2.690109527, z_power = 0.841621234;  // quantiles at 1 − 0.05/14 and 0.8
  EXPECT_NEAR(*detectable_difference(design) / ((z_level + z_power) * 0.005 * std::sqrt(2 / 7e5)),
              1, 1e-5);
}

TEST(Power, OfNoDifferenceIsTheLevelOfOneComparison) {
  EXPECT_NEAR(*power_of(kPaper, 0), 0.05 / 7, 1e-12);
  EXPECT_NEAR(*power_of({.num_seeds = 6, .std = 1}, 0), 0.05, 1e-12);
}

TEST(Power, IncreasesWithTheDifferenceUpToOne) {
  double last = 0;
  for (const double difference : {0.0, 0.002, 0.005, 0.01, 0.02, 0.03}) {
    const double power = *power_of(kPaper, difference);
    EXPECT_GT(power, last);
    EXPECT_LE(power, 1);
    last = power;
  }
  EXPECT_EQ(*power_of(kPaper, 1), 1);
  EXPECT_EQ(*power_of(kPaper, 1e6), 1);
}

// From no effect to very large ones, for few and many degrees of freedom.
TEST(Power, IsAMonotoneProbabilityEverywhere) {
  for (const std::int64_t variants : {2, 3, 8, 50})
    for (const std::int64_t seeds : {6, 7, 8, 30, 1000, 100'000}) {
      const Design design{.num_variants = variants, .num_seeds = seeds, .std = 1};
      double last = 0;
      for (double delta = 0; delta < 150; delta = 1.1 * delta + 0.05) {
        const double power = *power_of(design, delta * std::sqrt(2 / static_cast<double>(seeds)));
        EXPECT_GE(power, last - 1e-9) << variants << " × " << seeds << " delta " << delta;
        EXPECT_LE(power, 1 + 1e-12);
        last = power;
      }
      EXPECT_NEAR(last, 1, 1e-9) << variants << " × " << seeds;
    }
}

TEST(Power, DetectableScalesWithTheSpread) {
  Design wide = kPaper;
  wide.std *= 3;
  EXPECT_NEAR(*detectable_difference(wide), 3 * *detectable_difference(kPaper), 1e-12);
}

TEST(Power, SeedsNeededAreTheFewestThatSuffice) {
  for (const double std : {0.001, 0.005, 0.01, 0.04})
    for (const double difference : {0.005, 0.01, 0.02}) {
      Design design{.num_variants = 8, .num_seeds = 0, .std = std};
      design.num_seeds = *seeds_needed(design, difference);
      EXPECT_LE(*detectable_difference(design), difference) << std << " " << difference;
      if (--design.num_seeds < 6) continue;
      EXPECT_GT(*detectable_difference(design), difference) << std << " " << difference;
    }
}

// With many seeds: P(|Z √(2/s) σ + D| < M − z √(2/s) σ), both sides from the normal distribution.
TEST(Power, EquivalenceOfManySeedsGivesTheNormalFormula) {
  const Design design{.num_variants = 8, .num_seeds = 700'000, .std = 1};
  const double error = std::sqrt(2 / 7e5), z_level = 2.690109527, margin = 4 * error;
  const auto normal = [](double z) { return std::erfc(-z / std::sqrt(2)) / 2; };
  for (const double difference : {0.0, 0.5 * error, -0.5 * error, 1.2 * error}) {
    const double size = std::abs(difference) / error;
    EXPECT_NEAR(*equivalence_power_of(design, difference, margin),
                normal(4 - z_level - size) - normal(z_level - 4 - size), 1e-5);
  }
}

TEST(Power, OfEquivalenceIsAProbabilityThatIncreasesWithTheMargin) {
  double last = 0;
  for (const double margin : {0.001, 0.005, 0.01, 0.02, 0.03, 0.1, 10.0}) {
    const double power = *equivalence_power_of(kPaper, 0.002, margin);
    EXPECT_GE(power, last);
    EXPECT_LE(power, 1);
    EXPECT_EQ(power, *equivalence_power_of(kPaper, -0.002, margin));
    last = power;
  }
  const Design many{.num_variants = 8, .num_seeds = 1000, .std = 0.005};
  EXPECT_NEAR(*equivalence_power_of(many, 0.01, 0.01), 0.05 / 14, 1e-12) << "at the margin";
  EXPECT_EQ(*equivalence_power_of(kPaper, 1, 0.01), 0);
  EXPECT_EQ(last, 1);
}

TEST(Power, SeedsToDecideAreTheFewestForEitherVerdict) {
  const Design design{.num_variants = 8, .std = 0.005};
  EXPECT_EQ(seeds_to_decide(design, -0.01, std::nullopt), seeds_needed(design, 0.01));
  EXPECT_EQ(seeds_to_decide(design, 0.01, 0.005), seeds_needed(design, 0.01))
      << "beyond the margin only a difference can be found";
  EXPECT_EQ(seeds_to_decide(design, 0, std::nullopt), std::nullopt);
  for (const double difference : {0.0, 0.001, -0.001, 0.003}) {
    Design with = design;
    with.num_seeds = *seeds_to_decide(design, difference, 0.01);
    EXPECT_GE(*equivalence_power_of(with, difference, 0.01), 0.8);
    --with.num_seeds;
    EXPECT_LT(*equivalence_power_of(with, difference, 0.01), 0.8);
  }
  EXPECT_EQ(seeds_to_decide({.num_variants = 8, .std = 1e-6}, 0.001, 0.01), 6) << "the fewest";
  EXPECT_EQ(seeds_to_decide({.num_variants = 8, .std = 1000}, 0.1, 0.2), std::nullopt)
      << "more than a million";
}

TEST(Power, IsUndefinedWithoutATest) {
  for (const Design& design : {Design{.num_variants = 1, .num_seeds = 8, .std = 1},
                               Design{.num_variants = 8, .num_seeds = 5, .std = 1},
                               Design{.num_variants = 8, .num_seeds = 8, .std = 0}}) {
    EXPECT_EQ(power_of(design, 0.1), std::nullopt);
    EXPECT_EQ(equivalence_power_of(design, 0.1, 0.2), std::nullopt);
    EXPECT_EQ(detectable_difference(design), std::nullopt);
  }
  EXPECT_EQ(seeds_needed({.num_variants = 1, .std = 1}, 0.1), std::nullopt);
  EXPECT_EQ(seeds_needed({.num_variants = 8, .std = 0}, 0.1), std::nullopt);
  EXPECT_EQ(seeds_needed({.num_variants = 8, .std = 1000}, 0.1), std::nullopt)
      << "more than a million";
}

TEST(Power, RejectsInvalidArguments) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const Design& design :
       {Design{.std = -1}, Design{.std = nan}, Design{.std = infinity},
        Design{.std = 1, .level = 0}, Design{.std = 1, .level = 1}, Design{.std = 1, .power = 0},
        Design{.std = 1, .power = 1}, Design{.std = 1, .power = 0.01},
        Design{.std = 1, .level = nan}, Design{.std = 1, .power = nan}}) {
    EXPECT_THROW(power_of(design, 1), UserError);
    EXPECT_THROW(detectable_difference(design), UserError);
    EXPECT_THROW(equivalence_power_of(design, 1, 2), UserError);
    EXPECT_THROW(seeds_needed(design, 1), UserError);
    EXPECT_THROW(seeds_to_decide(design, 1, 2), UserError);
  }
  for (const double difference : {0.0, -1.0, nan})
    EXPECT_THROW(seeds_needed(kPaper, difference), UserError);
  EXPECT_THROW(power_of(kPaper, nan), InvariantError);
  EXPECT_THROW(equivalence_power_of(kPaper, 0, nan), InvariantError);
}

}  // namespace
}  // namespace sluice::stats
