#include "report/falling.h"

#include <cmath>
#include <vector>

#include "stats/moments.h"

namespace sluice::report {
namespace {

constexpr double kThreeQuarters = 0.75, kHalf = 0.5;

// From three quarters of the steps, between the readings around them, to the end.
std::optional<double> held_out_fall(const Cell& cell) {
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
    const double first = static_cast<double>(before->step), share = (place - first) / (step - first);
    const double there = before->log_perplexity + share * (point.log_perplexity - before->log_perplexity);
    return there - last.log_perplexity;
  }
  return std::nullopt;
}

// From the third quarter's mean to the last one's, whose middles are a quarter apart.
std::optional<double> training_fall(const Cell& cell) {
  constexpr std::size_t kEnough = 8;
  if (cell.training.empty()) return std::nullopt;
  const double end = static_cast<double>(cell.training.back().step);
  std::vector<double> third, fourth;
  for (const CurvePoint& point : cell.training) {
    const double step = static_cast<double>(point.step);
    if (step > kHalf * end) (step > kThreeQuarters * end ? fourth : third).push_back(point.log_perplexity);
  }
  if (third.size() < kEnough || fourth.size() < kEnough) return std::nullopt;
  const double fall = stats::mean_of(third) - stats::mean_of(fourth), a = *stats::sample_std(third), b = *stats::sample_std(fourth);
  const double error = std::sqrt(a * a / static_cast<double>(third.size()) + b * b / static_cast<double>(fourth.size()));
  return fall > 2 * error ? fall : 0;
}

}  // namespace

std::optional<double> fall_at_the_end(const Analysis& analysis, std::size_t variant) {
  for (const auto fall_of : {held_out_fall, training_fall}) {
    std::vector<double> falls;
    bool all = true;
    for (const Cell* cell : analysis.grid[variant]) {
      if (cell == nullptr || cell->status != CellStatus::kFinished) continue;
      const std::optional<double> fall = fall_of(*cell);
      if (fall && std::isfinite(*fall)) {
        falls.push_back(*fall);
      } else {
        all = false;
      }
    }
    if (all && !falls.empty()) return stats::mean_of(falls);
  }
  return std::nullopt;
}

}  // namespace sluice::report
