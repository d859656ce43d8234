// A comparison with figures that look like those of a real one, for tests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "report/comparison.h"

namespace sluice::report {

struct ExampleSize {
  std::size_t num_variants = 8;  // the first of the paper's
  std::size_t num_seeds = 5;
  std::size_t num_points = 60;  // of each curve
};

// All cells finished, span corruption, tuned. The same arguments give the same figures.
Comparison example_comparison(const ExampleSize& size);

// The cell of a variant and seed, by index.
Cell& cell_at(Comparison& comparison, std::size_t variant, std::size_t seed);

// What remains of a cell that never came to its end.
void break_cell(Cell& cell, CellStatus status, const std::string& remark);

}  // namespace sluice::report
