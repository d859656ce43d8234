#include "stats/moments.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sluice::stats {

double mean_of(std::span<const double> values) {
  invariant(!values.empty(), "mean_of: no values");
  // Relative to the first value, so that the mean of equal numbers is exactly that number.
  double sum = 0;
  for (const double value : values) sum += value - values.front();
  return values.front() + sum / static_cast<double>(values.size());
}

std::optional<double> sample_std(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double rounding_of(std::span<const double> values) {
  constexpr double kRelative = 1e-13;
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return kRelative * largest;
}

}  // namespace sluice::stats
