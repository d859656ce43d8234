#include "report/comparison.h"

#include <algorithm>
#include <cmath>

namespace sluice::report {
namespace {

bool per_byte(const Comparison& comparison) { return comparison.metric == "bits_per_byte"; }

}  // namespace

std::string label_of(const Settings& settings) {
  std::string label;
  for (const auto& [key, value] : settings) label.append(label.empty() ? "" : ", ").append(value);
  return label;
}

std::optional<double> figure_of(const Comparison& comparison, const Cell& cell) {
  if (cell.status != CellStatus::kFinished) return std::nullopt;
  const std::optional<double>& figure = per_byte(comparison) ? cell.bits_per_byte : cell.log_perplexity;
  return figure && std::isfinite(*figure) ? figure : std::nullopt;
}

bool has_learned_nothing(const Cell& cell) { return cell.status == CellStatus::kFinished && cell.learned_nothing.value_or(false); }

std::string metric_title(const Comparison& comparison) {
  std::string title = comparison.metric;
  std::replace(title.begin(), title.end(), '_', per_byte(comparison) ? ' ' : '-');
  return title;
}

std::string_view metric_unit(const Comparison& comparison) { return per_byte(comparison) ? "bits per byte" : "nats per target token"; }

}  // namespace sluice::report
