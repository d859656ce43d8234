// The standard deviation of a normal population, with its confidence interval.
#pragma once

#include <span>

#include "stats/block_model.h"

namespace sluice::stats {

struct Spread {
  double std = 0;
  Interval interval;  // 95 %, from the chi-squared distribution of (n − 1) s² / σ²
};

// InvariantError for fewer than two values.
Spread spread_of(std::span<const double> values);

}  // namespace sluice::stats
