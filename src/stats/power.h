// Statistical power of a comparison: the smallest difference to the baseline that is found
// significant with a given probability.
//
// The sign-flip test with max-T (sign_flip.h) has no closed form of its power. It is approximated
// by the paired t-test at level/(v − 1) (Bonferroni), for normal differences:
//
//   δ(D) = D / (σ √(2/s))      f = s − 1      c = t_{1 − level/(2(v − 1)), f}
//   power(D) = P(T_{f,δ} > c) + P(T_{f,δ} < −c)
//
// with T noncentral t (Johnson, Kotz & Balakrishnan 1995, chapter 31; Lenth 2001, "Some practical
// guidelines for effective sample size determination"). docs/statistics.md compares it with
// simulations. With fewer than min_seeds(level) seeds nothing can be significant. This is the power
// for one difference chosen in advance, not for all simultaneously.
//
// Equivalence: the interval mean ± c SE, SE = std(d)/√s, lies within (−M, M) with about the
// probability
//
//   P(T_{f,δ(D − M)} < −c) + P(T_{f,δ(D + M)} > c) − 1, at least 0
//
// i.e. the powers P1 and P2 of two one-sided t-tests as P1 + P2 − 1. That is a lower bound: it
// counts a table twice if both tests fail. With a power of 0.8 that hardly ever happens.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice::stats {

struct Design {
  std::int64_t num_variants = 2;  // the baseline included
  std::int64_t num_seeds = 2;
  // σ of one run within its seed: a measured residual_std, or an assumed std of one run
  // (conservative, since pairing removes the variance between seeds).
  double std = 0;
  double level = 0.05;  // family-wise, two-sided
  double power = 0.8;
};

// All functions: UserError kUsage for a std that is negative or not finite, a level or power
// outside (0, 1), or a power that is not above the level.

// Probability of detecting a true difference (of either sign). None for fewer than two variants or
// min_seeds(level) seeds, or a std of 0.
std::optional<double> power_of(const Design& design, double difference);

// Probability that the interval lies within (−margin, margin). None if power_of returns none.
std::optional<double> equivalence_power_of(const Design& design, double difference, double margin);

// In units of the metric. None if power_of returns none.
std::optional<double> detectable_difference(const Design& design);

// The smallest number of seeds (at least min_seeds(level); `design.num_seeds` is ignored) with
// detectable_difference ≤ `difference`. None for fewer than two variants, a std of 0, or more than
// a million seeds. UserError kUsage unless `difference` > 0.
std::optional<std::int64_t> seeds_needed(const Design& design, double difference);

// The smallest number of seeds (at least min_seeds(level); `design.num_seeds` is ignored) that
// gives a verdict with probability `design.power`: the true `difference` is found significant, or,
// with a margin, it is called equivalent; whichever takes fewer. None as for seeds_needed.
std::optional<std::int64_t> seeds_to_decide(const Design& design, double difference,
                                            std::optional<double> margin);

}  // namespace sluice::stats
