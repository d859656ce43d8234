#include "stats/table.h"

#include <cmath>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::stats {

Table::Table(std::size_t num_variants, std::size_t num_seeds)
    : num_variants_(num_variants), num_seeds_(num_seeds), cells_(num_variants * num_seeds) {}

const Table::Cell& Table::cell(std::size_t variant, std::size_t seed) const {
  invariant(variant < num_variants_ && seed < num_seeds_, "stats::Table: no such cell");
  return cells_[variant * num_seeds_ + seed];
}

void Table::set(std::size_t variant, std::size_t seed, double value) {
  if (!std::isfinite(value))
    fail(ExitCode::kBadData, "result of a finished run", cat(value), "a finite number");
  cell(variant, seed);
  cells_[variant * num_seeds_ + seed] = {.value = value};
}

void Table::set_broken(std::size_t variant, std::size_t seed) {
  cell(variant, seed);
  cells_[variant * num_seeds_ + seed] = {.broken = true};
}

std::optional<double> Table::value(std::size_t variant, std::size_t seed) const {
  return cell(variant, seed).value;
}

bool Table::broken(std::size_t variant, std::size_t seed) const {
  return cell(variant, seed).broken;
}

}  // namespace sluice::stats
