// Compares variants within seeds: the additive model of a randomized complete block design, with
// seeds as blocks (Cochran & Cox 1957, "Experimental Designs", chapter 4; Montgomery, "Design and
// Analysis of Experiments", chapter 4).
//
//   y_ij = μ + variant_i + seed_j + ε_ij,   ε independent normal with one σ      i = 1…v, j = 1…s
//   r_ij = y_ij − mean_i· − mean_·j + mean_··
//   σ̂² = Σ r_ij² / ((v − 1)(s − 1))
//   difference of variants a and b = mean_a· − mean_b·,  standard error √(2 σ̂² / s),
//   t with (v − 1)(s − 1) degrees of freedom
//
// If σ̂ is within rounding error, it is set to 0 and every p is 1, even for a nonzero difference:
// without spread there is no error to test against (docs/statistics.md).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace sluice::stats {

struct Interval {
  double low = 0;
  double high = 0;
};

class BlockModel {
 public:
  // `values`: [num_variants, num_seeds], row-major. InvariantError unless both are at least 2 and
  // all values are finite.
  BlockModel(std::size_t num_variants, std::size_t num_seeds, std::span<const double> values);

  std::size_t num_variants() const { return num_variants_; }
  std::size_t num_seeds() const { return num_seeds_; }
  double df() const;                                     // (v − 1)(s − 1)
  double residual_std() const { return residual_std_; }  // σ̂
  double std_error() const;                              // of any difference of two variants

  // Mean over the seeds of y_aj − y_bj: exactly 0 for equal rows.
  double difference(std::size_t a, std::size_t b) const;
  // Two-sided, unadjusted.
  double p(std::size_t a, std::size_t b) const;
  // difference ± t_{1 − level/2} · std_error. For simultaneous intervals at 5 % over m comparisons
  // pass level 0.05/m (Bonferroni). Without spread: [0, 0] for a difference of 0, otherwise none.
  std::optional<Interval> interval(std::size_t a, std::size_t b, double level) const;

 private:
  std::span<const double> row(std::size_t variant) const;

  std::size_t num_variants_, num_seeds_;
  std::vector<double> values_;
  double residual_std_ = 0;
};

}  // namespace sluice::stats
