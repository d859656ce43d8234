#include "report/falling.h"

#include <cmath>
#include <vector>

#include "stats/moments.h"

namespace sluice::report {
namespace {

constexpr double kThreeQuarters = 0.75, kHalf = 0.5;

// From the value at three quarters of the steps (linearly interpolated) to the last.
std::optional<double> held_out_decrease(const CellResult& cell) {
  if (cell.held_out.empty()) return std::nullopt;
  const CurvePoint& last = cell.held_out.back();
  const double end = static_cast<double>(last.step), place = kThreeQuarters * end;
  const CurvePoint* before = nullptr;
  for (const CurvePoint& point : cell.held_out) {
    const double step = static_cast<double>(point.step);
    if (point.num_tokens != last.num_tokens || step < kHalf * end) continue;
    if (step <= place) {
      before = &point;
      continue;
    }
    if (before == nullptr) return std::nullopt;
    const double first = static_cast<double>(before->step),
                 share = (place - first) / (step - first);
    const double value =
        before->log_perplexity + share * (point.log_perplexity - before->log_perplexity);
    return value - last.log_perplexity;
  }
  return std::nullopt;
}

// From the mean of the third quarter to that of the last; their centers are a quarter apart.
std::optional<double> training_decrease(const CellResult& cell) {
  constexpr std::size_t kMinPoints = 8;
  if (cell.training.empty()) return std::nullopt;
  const double end = static_cast<double>(cell.training.back().step);
  std::vector<double> third, fourth;
  for (const CurvePoint& point : cell.training) {
    const double step = static_cast<double>(point.step);
    if (step > kHalf * end)
      (step > kThreeQuarters * end ? fourth : third).push_back(point.log_perplexity);
  }
  if (third.size() < kMinPoints || fourth.size() < kMinPoints) return std::nullopt;
  const double decrease = stats::mean_of(third) - stats::mean_of(fourth),
               a = *stats::sample_std(third), b = *stats::sample_std(fourth);
  const double error = std::sqrt(a * a / static_cast<double>(third.size()) +
                                 b * b / static_cast<double>(fourth.size()));
  return decrease > 2 * error ? decrease : 0;
}

}  // namespace

std::optional<double> final_decrease(const Analysis& analysis, std::size_t variant) {
  for (const auto decrease_of : {held_out_decrease, training_decrease}) {
    std::vector<double> decreases;
    bool all = true;
    for (const CellResult* cell : analysis.grid[variant]) {
      if (cell == nullptr || cell->state != CellState::kFinished) continue;
      const std::optional<double> decrease = decrease_of(*cell);
      if (decrease && std::isfinite(*decrease)) {
        decreases.push_back(*decrease);
      } else {
        all = false;
      }
    }
    if (all && !decreases.empty()) return stats::mean_of(decreases);
  }
  return std::nullopt;
}

}  // namespace sluice::report
