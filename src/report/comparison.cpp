#include "report/comparison.h"

#include <algorithm>
#include <cmath>

#include "config/names.h"

namespace sluice::report {
namespace {

bool per_byte(const Comparison& comparison) { return comparison.metric == Metric::kBitsPerByte; }

}  // namespace

std::string label_of(const Settings& settings) {
  std::string label;
  for (const auto& [key, value] : settings) label.append(label.empty() ? "" : ", ").append(value);
  return label;
}

std::optional<double> metric_value(const Comparison& comparison, const CellResult& cell) {
  if (cell.state != CellState::kFinished) return std::nullopt;
  const std::optional<double>& value =
      per_byte(comparison) ? cell.bits_per_byte : cell.log_perplexity;
  return value && std::isfinite(*value) ? value : std::nullopt;
}

bool did_not_learn(const CellResult& cell) {
  return cell.state == CellState::kFinished && cell.learned_nothing.value_or(false);
}

std::string metric_title(const Comparison& comparison) {
  std::string title(config::name_of(comparison.metric));
  std::replace(title.begin(), title.end(), '_', per_byte(comparison) ? ' ' : '-');
  return title;
}

std::string_view metric_unit(const Comparison& comparison) {
  return per_byte(comparison) ? "bits per byte" : "nats per target token";
}

}  // namespace sluice::report
