#include "stats/block_model.h"

#include <cmath>

#include "base/error.h"
#include "stats/moments.h"
#include "stats/student_t.h"

namespace sluice::stats {
namespace {

// √(Σ r_ij² / df). Modifies its copy of the table: subtracting the seed means first leaves small
// numbers for the second pass.
double residual_std_of(std::vector<double> values, std::size_t num_variants,
                       std::size_t num_seeds) {
  std::vector<double> column(num_variants);
  for (std::size_t j = 0; j < num_seeds; ++j) {
    for (std::size_t i = 0; i < num_variants; ++i) column[i] = values[i * num_seeds + j];
    const double mean = mean_of(column);
    for (std::size_t i = 0; i < num_variants; ++i) values[i * num_seeds + j] -= mean;
  }
  double squares = 0;
  for (std::size_t i = 0; i < num_variants; ++i) {
    const std::span<const double> row = std::span(values).subspan(i * num_seeds, num_seeds);
    const double mean = mean_of(row);
    for (const double value : row) squares += (value - mean) * (value - mean);
  }
  return std::sqrt(squares / static_cast<double>((num_variants - 1) * (num_seeds - 1)));
}

}  // namespace

BlockModel::BlockModel(std::size_t num_variants, std::size_t num_seeds,
                       std::span<const double> values)
    : num_variants_(num_variants), num_seeds_(num_seeds), values_(values.begin(), values.end()) {
  invariant(num_variants >= 2 && num_seeds >= 2, "BlockModel: fewer than two variants or seeds");
  invariant(values.size() == num_variants * num_seeds,
            "BlockModel: expected one value per variant and seed");
  for (const double value : values_)
    invariant(std::isfinite(value), "BlockModel: a value is not finite");
  const double std = residual_std_of(values_, num_variants, num_seeds);
  residual_std_ = std <= rounding_of(values_) ? 0 : std;
}

double BlockModel::df() const {
  return static_cast<double>((num_variants_ - 1) * (num_seeds_ - 1));
}

double BlockModel::std_error() const {
  return residual_std_ * std::sqrt(2 / static_cast<double>(num_seeds_));
}

std::span<const double> BlockModel::row(std::size_t variant) const {
  invariant(variant < num_variants_, "BlockModel: no such variant");
  return std::span(values_).subspan(variant * num_seeds_, num_seeds_);
}

double BlockModel::difference(std::size_t a, std::size_t b) const {
  const std::span<const double> x = row(a), y = row(b);
  double sum = 0;
  for (std::size_t j = 0; j < num_seeds_; ++j) sum += x[j] - y[j];
  return sum / static_cast<double>(num_seeds_);
}

double BlockModel::p(std::size_t a, std::size_t b) const {
  const double value = difference(a, b);
  return residual_std_ == 0 ? 1 : two_sided_p(value / std_error(), df());
}

std::optional<Interval> BlockModel::interval(std::size_t a, std::size_t b, double level) const {
  invariant(level > 0 && level < 1, "BlockModel::interval: level outside (0, 1)");
  const double value = difference(a, b);
  if (residual_std_ == 0 && value != 0) return std::nullopt;
  const double half = residual_std_ == 0 ? 0 : t_quantile(1 - level / 2, df()) * std_error();
  return Interval{.low = value - half, .high = value + half};
}

}  // namespace sluice::stats
