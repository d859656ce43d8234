// Confidence interval of a probability from the number of successes in independent trials, by
// Clopper & Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of
// the binomial", Biometrika 26. It covers the probability with at least 1 − level in every case.
//
//   low = quantile level/2 of Beta(k, n − k + 1), 0 if k = 0
//   high = quantile 1 − level/2 of Beta(k + 1, n − k), 1 if k = n
#pragma once

#include <cstddef>

#include "stats/block_model.h"

namespace sluice::stats {

// InvariantError unless successes ≤ trials, trials > 0 and 0 < level < 1.
Interval clopper_pearson(std::size_t successes, std::size_t trials, double level);

}  // namespace sluice::stats
