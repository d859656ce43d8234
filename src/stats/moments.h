// Mean and standard deviation of a sample.
#pragma once

#include <optional>
#include <span>

namespace sluice::stats {

// Σ x / n. InvariantError where `values` is empty.
double mean_of(std::span<const double> values);

// √(Σ (x − mean)² / (n − 1)); none where n < 2.
std::optional<double> sample_std(std::span<const double> values);

// What is left of equal numbers after rounding: a standard deviation of at most this counts as none at all.
// 1e-13 · max |x| over the numbers that it was computed from, some hundred units in the last place.
double rounding_of(std::span<const double> values);

}  // namespace sluice::stats
