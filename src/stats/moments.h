// Mean and standard deviation of a sample.
#pragma once

#include <optional>
#include <span>

namespace sluice::stats {

// Σ x / n. InvariantError if `values` is empty.
double mean_of(std::span<const double> values);

// √(Σ (x − mean)² / (n − 1)); none if n < 2.
std::optional<double> sample_std(std::span<const double> values);

// Rounding error of the standard deviation of `values`; a standard deviation of at most this counts
// as 0. It is 1e-13 · max |x|, some hundred units in the last place.
double rounding_of(std::span<const double> values);

}  // namespace sluice::stats
