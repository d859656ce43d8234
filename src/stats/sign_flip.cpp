#include "stats/sign_flip.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "stats/moments.h"

namespace sluice::stats {
namespace {

constexpr std::size_t kMaxExactSeeds = 16, kNumSampled = 32'768;
// Flips whose T is equal in exact arithmetic count as equal.
constexpr double kTie = 1e-9;

// The largest and the second largest T over the comparisons, for one flip.
struct TopTwo {
  double first = 0, second = 0;
  std::size_t owner = 0;  // the comparison of `first`

  void add(double t, std::size_t comparison) {
    if (t > first) {
      second = first;
      first = t;
      owner = comparison;
    } else {
      second = std::max(second, t);
    }
  }
  double without(std::size_t comparison) const { return owner == comparison ? second : first; }
};

double observed_statistic(std::span<const double> values) {
  double sum = 0, squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares > 0 ? std::abs(sum) / std::sqrt(squares) : 0;
}

// The bound that more than `num_allowed` of `bounds` reach, counted from the outside.
double bound_of(std::vector<double>& bounds, std::size_t num_allowed, bool is_upper) {
  const auto place = bounds.begin() + static_cast<std::ptrdiff_t>(num_allowed);
  if (is_upper) {
    std::nth_element(bounds.begin(), place, bounds.end(), std::greater<>());
  } else {
    std::nth_element(bounds.begin(), place, bounds.end());
  }
  return *place;
}

}  // namespace

SignFlips::SignFlips(std::size_t num_seeds, std::span<const double> differences, double rounding,
                     std::uint64_t key)
    : num_seeds_(num_seeds),
      num_flips_(num_seeds <= kMaxExactSeeds ? std::size_t{1} << (num_seeds - 1) : kNumSampled),
      key_(key) {
  invariant(num_seeds >= 2 && differences.size() % num_seeds == 0,
            "SignFlips: expected at least two seeds per comparison");
  for (std::size_t i = 0; i < differences.size(); i += num_seeds) {
    const std::span<const double> row = differences.subspan(i, num_seeds);
    for (const double value : row)
      invariant(std::isfinite(value), "SignFlips: a difference is not finite");
    Comparison comparison{.values = {row.begin(), row.end()}, .mean = mean_of(row)};
    for (const double value : row)
      comparison.variance += (value - comparison.mean) * (value - comparison.mean);
    comparison.variance /= static_cast<double>(num_seeds);
    comparison.is_constant = *sample_std(row) <= rounding;
    comparisons_.push_back(std::move(comparison));
  }
}

std::vector<double> SignFlips::sums_of(std::span<const double> values) const {
  std::vector<double> sums(num_flips_);
  sums[0] = std::accumulate(values.begin(), values.end(), 0.0);
  if (num_seeds_ <= kMaxExactSeeds) {
    // Bit j of a flip's number: the sign of seed j is flipped. The last seed keeps its sign.
    for (std::size_t j = 0; j + 1 < num_seeds_; ++j)
      for (std::size_t f = 0, half = std::size_t{1} << j; f < half; ++f)
        sums[half + f] = sums[f] - 2 * values[j];
    return sums;
  }
  const std::size_t words = (num_seeds_ + 63) / 64;
  for (std::size_t f = 1; f < num_flips_; ++f) {
    std::uint64_t bits = 0;
    for (std::size_t j = 0; j < num_seeds_; ++j) {
      if (j % 64 == 0) bits = random_bits(key_, f * words + j / 64);
      sums[f] += (bits & 1U) != 0 ? -values[j] : values[j];
      bits >>= 1U;
    }
  }
  return sums;
}

std::vector<double> SignFlips::statistics_of(std::span<const double> values) const {
  double squares = 0;
  for (const double value : values) squares += value * value;
  std::vector<double> statistics = sums_of(values);
  for (double& t : statistics) t = squares > 0 ? std::abs(t) / std::sqrt(squares) : 0;
  return statistics;
}

std::vector<double> SignFlips::num_kept() const {
  std::vector<double> counts = sums_of(std::vector<double>(num_seeds_, 1.0));
  for (double& count : counts) count = (count + static_cast<double>(num_seeds_)) / 2;
  return counts;
}

std::vector<double> SignFlips::adjusted_p() const {
  std::vector<double> observed;
  for (const Comparison& comparison : comparisons_)
    observed.push_back(comparison.is_constant ? 0 : observed_statistic(comparison.values));
  std::vector<std::size_t> order(comparisons_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return observed[a] < observed[b]; });
  // From the smallest T to the largest: `largest` is the maximum over k ≥ i.
  std::vector<double> p(comparisons_.size(), 1), largest(num_flips_);
  for (const std::size_t i : order) {
    if (comparisons_[i].is_constant) continue;
    const std::vector<double> statistics = statistics_of(comparisons_[i].values);
    std::size_t num_hits = 0;
    for (std::size_t f = 0; f < num_flips_; ++f) {
      largest[f] = std::max(largest[f], statistics[f]);
      num_hits += largest[f] >= observed[i] - kTie ? 1 : 0;
    }
    p[i] = static_cast<double>(num_hits) / static_cast<double>(num_flips_);
  }
  double lowest = 0;
  for (auto i = order.rbegin(); i != order.rend(); ++i) lowest = p[*i] = std::max(lowest, p[*i]);
  return p;
}

std::vector<std::optional<Interval>> SignFlips::intervals(double level) const {
  invariant(level >= 0 && level < 1, "SignFlips::intervals: level outside [0, 1)");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double s = static_cast<double>(num_seeds_);
  const auto num_allowed =
      static_cast<std::size_t>(std::floor(level * static_cast<double>(num_flips_) + kTie));
  std::vector<TopTwo> others(num_flips_);
  for (std::size_t i = 0; i < comparisons_.size() && comparisons_.size() > 1; ++i) {
    if (comparisons_[i].is_constant) continue;
    std::vector<double> centered = comparisons_[i].values;
    for (double& value : centered) value -= comparisons_[i].mean;
    const std::vector<double> t = statistics_of(centered);
    for (std::size_t f = 0; f < num_flips_; ++f) others[f].add(t[f], i);
  }
  const std::vector<double> kept = num_kept();
  std::vector<std::optional<Interval>> intervals;
  for (std::size_t i = 0; i < comparisons_.size(); ++i) {
    const Comparison& comparison = comparisons_[i];
    if (comparison.is_constant) {
      intervals.push_back(comparison.mean == 0 ? std::optional<Interval>(Interval{})
                                               : std::nullopt);
      continue;
    }
    const std::vector<double> sums = sums_of(comparison.values);
    std::vector<double> low(num_flips_), high(num_flips_);
    for (std::size_t f = 0; f < num_flips_; ++f) {
      // Means of the seeds whose sign is kept and of those whose sign is flipped: θ between them
      // gives T_i(f) ≥ T_i(1).
      const double kept_mean = (sums[0] + sums[f]) / (2 * kept[f]),
                   flipped_mean = (sums[0] - sums[f]) / (2 * (s - kept[f]));
      const double t = others[f].without(i), rest = s - t * t;
      const double reach = rest > kTie ? t * std::sqrt(comparison.variance / rest) : kInfinity;
      const bool is_identity = kept[f] == s || kept[f] == 0;
      low[f] =
          is_identity ? -kInfinity : std::min({kept_mean, flipped_mean, comparison.mean - reach});
      high[f] =
          is_identity ? kInfinity : std::max({kept_mean, flipped_mean, comparison.mean + reach});
    }
    intervals.push_back(Interval{.low = bound_of(low, num_allowed, false),
                                 .high = bound_of(high, num_allowed, true)});
  }
  return intervals;
}

double smallest_p(std::size_t num_seeds) {
  return num_seeds <= kMaxExactSeeds ? std::ldexp(1.0, 1 - static_cast<int>(num_seeds))
                                     : 1.0 / kNumSampled;
}

std::size_t min_seeds(double level) {
  invariant(level > 0, "min_seeds: level not above 0");
  std::size_t num_seeds = 2;
  while (num_seeds <= kMaxExactSeeds && smallest_p(num_seeds) > level) ++num_seeds;
  return num_seeds;
}

}  // namespace sluice::stats
