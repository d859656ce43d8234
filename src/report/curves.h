// Curves of several seeds as one: mean, lowest and highest at each step that all of them have.
#pragma once

#include <cstddef>
#include <vector>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

struct BandPoint {
  double step = 0, flops = 0, seconds = 0;  // of training so far; seconds: mean over the seeds
  double mean = 0, low = 0, high = 0;       // nats per target token
};
using Band = std::vector<BandPoint>;

enum class CurveKind { kTraining, kHeldOut };

// Over the finished cells of a variant; empty where there is none or they share no step. At most `max_points`: training losses, which are noisy, are
// averaged over neighbours, held-out ones left out between, never the last.
Band band_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant, CurveKind kind, std::size_t max_points);

// The held-out difference to the baseline over the seeds that the table compares, at steps that both have. For variants with a difference in
// the table.
Band difference_band(const Comparison& comparison, const Analysis& analysis, std::size_t variant, std::size_t max_points);

}  // namespace sluice::report
