#include "report/curves.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace sluice::report {
namespace {

// Values of all seeds at one step.
struct Readings {
  std::vector<double> values, seconds;
};
using BySteps = std::map<std::int64_t, Readings>;

const std::vector<CurvePoint>& curve_of(const CellResult& cell, CurveKind kind) {
  return kind == CurveKind::kTraining ? cell.training : cell.held_out;
}

// Factor from nats per target token to the unit of the metric. Exact for evaluations of the whole
// held-out set, whose number of bytes per target is constant.
double held_out_scale(const Comparison& comparison, const CellResult& cell) {
  const auto value = metric_value(comparison, cell);
  return value && cell.log_perplexity && *cell.log_perplexity > 0 ? *value / *cell.log_perplexity
                                                                  : 1;
}

Band band(const BySteps& by_steps, std::size_t num_curves, double step_flops) {
  Band points;
  for (const auto& [step, readings] : by_steps) {
    if (readings.values.size() != num_curves) continue;
    BandPoint& point = points.emplace_back();
    point.step = static_cast<double>(step);
    point.flops = point.step * step_flops;
    const auto [low, high] = std::minmax_element(readings.values.begin(), readings.values.end());
    point.low = *low;
    point.high = *high;
    for (std::size_t i = 0; i < num_curves; ++i) {
      point.mean += readings.values[i] / static_cast<double>(num_curves);
      point.seconds += readings.seconds[i] / static_cast<double>(num_curves);
    }
  }
  return points;
}

Band thinned(const Band& points, std::size_t max_points) {
  if (points.size() <= max_points) return points;
  Band kept;
  for (std::size_t i = 0; i < max_points; ++i)
    kept.push_back(points[i * (points.size() - 1) / (max_points - 1)]);
  return kept;
}

}  // namespace

Band averaged(const Band& points, std::size_t max_points) {
  if (points.size() <= max_points) return points;
  Band kept;
  for (std::size_t i = 0; i < max_points; ++i) {
    const std::size_t begin = i * points.size() / max_points,
                      end = (i + 1) * points.size() / max_points;
    BandPoint& sum = kept.emplace_back();
    const auto share = 1 / static_cast<double>(end - begin);
    for (std::size_t k = begin; k < end; ++k) {
      sum.step += share * points[k].step;
      sum.flops += share * points[k].flops;
      sum.seconds += share * points[k].seconds;
      sum.mean += share * points[k].mean;
      sum.low += share * points[k].low;
      sum.high += share * points[k].high;
    }
  }
  return kept;
}

Band band_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant,
             CurveKind kind, std::size_t max_points) {
  BySteps by_steps;
  std::size_t num_curves = 0;
  for (const CellResult* cell : analysis.grid[variant]) {
    if (cell == nullptr || cell->state != CellState::kFinished) continue;
    ++num_curves;
    const double scale = kind == CurveKind::kHeldOut ? held_out_scale(comparison, *cell) : 1;
    for (const CurvePoint& point : curve_of(*cell, kind)) {
      if (!std::isfinite(point.log_perplexity)) continue;
      by_steps[point.step].values.push_back(scale * point.log_perplexity);
      by_steps[point.step].seconds.push_back(point.seconds);
    }
  }
  const Band points = band(by_steps, num_curves, flops_per_step(comparison, analysis, variant));
  return kind == CurveKind::kTraining ? averaged(points, max_points) : thinned(points, max_points);
}

Band difference_band(const Comparison& comparison, const Analysis& analysis, std::size_t variant,
                     std::size_t max_points) {
  BySteps by_steps;
  const std::vector<std::size_t> seeds = analysis.compared_seeds();
  for (const std::size_t s : seeds) {
    const CellResult &ours = *analysis.grid[variant][s],
                     &other = *analysis.grid[comparison.baseline][s];
    const double our_scale = held_out_scale(comparison, ours),
                 other_scale = held_out_scale(comparison, other);
    std::map<std::int64_t, double> baseline;
    for (const CurvePoint& point : other.held_out)
      baseline[point.step] = other_scale * point.log_perplexity;
    for (const CurvePoint& point : ours.held_out) {
      const auto found = baseline.find(point.step);
      const double value = our_scale * point.log_perplexity;
      if (found == baseline.end() || !std::isfinite(value - found->second)) continue;
      by_steps[point.step].values.push_back(value - found->second);
      by_steps[point.step].seconds.push_back(point.seconds);
    }
  }
  return thinned(band(by_steps, seeds.size(), flops_per_step(comparison, analysis, variant)),
                 max_points);
}

}  // namespace sluice::report
