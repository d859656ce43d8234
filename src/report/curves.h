// Mean, minimum and maximum over the seeds' curves at each step that all of them have.
#pragma once

#include <cstddef>
#include <vector>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

struct BandPoint {
  double step = 0, flops = 0, seconds = 0;  // of training so far; seconds: mean over seeds
  double mean = 0, low = 0, high = 0;       // held-out: the metric; training: nats per target token
};
using Band = std::vector<BandPoint>;

enum class CurveKind { kTraining, kHeldOut };

// Over the finished cells of a variant; empty if there are none or they have no step in common. At
// most `max_points` points: training losses, which are noisy, are averaged over neighboring points;
// held-out losses are subsampled, always keeping the last point.
Band band_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant,
             CurveKind kind, std::size_t max_points);

// Means of neighboring points, for noisy curves; every point if there are at most `max_points`.
Band averaged(const Band& points, std::size_t max_points);

// Held-out difference from the baseline over the compared seeds, at steps that both have. Only for
// variants with a difference in the table.
Band difference_band(const Comparison& comparison, const Analysis& analysis, std::size_t variant,
                     std::size_t max_points);

}  // namespace sluice::report
