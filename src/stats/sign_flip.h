// Paired sign-flip test of several comparisons at once, with the max-T step-down adjustment
// (Westfall & Young 1993, "Resampling-Based Multiple Testing", chapters 2 and 4; Fisher 1935, "The
// Design of Experiments", section 21).
//
// d_ij: difference of comparison i under seed j. Without effects, flipping the signs of a seed,
// jointly for all comparisons because they share runs, gives an equally probable table if the
// vector (d_1j, ..., d_mj) is symmetric around 0. Over all flips e ∈ {−1, 1}^s:
//
//   T_i(e) = |Σ_j e_j d_ij| / √(Σ_j d_ij²)         T_(1) ≥ … ≥ T_(m) observed, at e = 1
//   p_(i)  = share of the flips with max over k ≥ i of T_(k)(e) ≥ T_(i)
//   adjusted p_(i) = max over k ≤ i of p_(k)
//
// T is an increasing function of |t| (t² = (s − 1) T² / (s − T²)), since flips do not change Σ d².
// The family-wise error is at most the level, exactly, if the seeds are independent and the
// differences of the comparisons without effect are jointly symmetric: d and −d have the same
// distribution. Spreads, other shapes and correlations do not matter.
//   - One comparison: its difference must be symmetric, as it is for two variants with the same
//     distribution.
//   - Several: results that are symmetric around the common mean, given the seed, are enough; the
//     same skewed distribution is not, since the baseline enters all differences with one sign.
// docs/statistics.md has simulated errors with skewed results. The smallest p is 2/2^s.
//
// Up to 16 seeds, all flips are taken; e and −e give the same T, so half of them are computed.
// Above, a sample keyed by `key`: p = (1 + hits) / (1 + 32,767), which is a valid p too.
//
// Intervals: θ is inside the interval of comparison i if more than level · 2^s flips reach the
// observed T_i of the differences d_ij − θ, either in comparison i itself or in another comparison,
// centered at its mean. With one comparison this is the exact inversion of the test (Hartigan 1969,
// "Using subsample values as typical values", JASA 64). With several, the means of the other
// comparisons stand in for their true differences, so the coverage is approximate;
// docs/statistics.md gives it as simulated.
//
// A comparison whose differences are all equal has no spread: p is 1 (docs/statistics.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stats/block_model.h"

namespace sluice::stats {

class SignFlips {
 public:
  // `differences`: [comparisons, seeds], row-major. `rounding`: differences whose spread is at most
  // this are constant. InvariantError unless there are at least 2 seeds and all values are finite.
  SignFlips(std::size_t num_seeds, std::span<const double> differences, double rounding,
            std::uint64_t key);

  // One per comparison.
  std::vector<double> adjusted_p() const;
  // Simultaneous intervals at 1 − level. A bound is infinite if no flip but the identity could
  // exclude it. [0, 0] for a difference of 0 without spread; none for another one without spread.
  std::vector<std::optional<Interval>> intervals(double level) const;

 private:
  struct Comparison {
    std::vector<double> values;
    double mean = 0, variance = 0;  // variance: Σ (d − mean)² / s
    bool is_constant = false;
  };
  // Σ_j e_j x_j, one per flip; the first flip is the identity.
  std::vector<double> sums_of(std::span<const double> values) const;
  // Σ_j e_j x_j / √(Σ x²), without the sign.
  std::vector<double> statistics_of(std::span<const double> values) const;
  std::vector<double> num_kept() const;  // seeds whose sign is kept, one per flip

  std::size_t num_seeds_, num_flips_;
  std::uint64_t key_;
  std::vector<Comparison> comparisons_;
};

// The smallest p that a table with this number of seeds can give: 2/2^s, or 1/32,768.
double smallest_p(std::size_t num_seeds);
// The smallest number of seeds with smallest_p() ≤ level: 6 for 0.05.
std::size_t min_seeds(double level);

}  // namespace sluice::stats
