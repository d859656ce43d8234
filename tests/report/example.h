// A comparison with realistic results, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "report/comparison.h"

namespace sluice::report {

struct ExampleSize {
  std::size_t num_variants = 8;  // in the order of the paper
  std::size_t num_seeds = 8;
  std::size_t num_points = 60;  // per curve
};

// All cells finished, span corruption, tuned. Deterministic.
Comparison example_comparison(const ExampleSize& size);

// The cell of a variant and seed, by index.
CellResult& cell_at(Comparison& comparison, std::size_t variant, std::size_t seed);

// Sets the state of a cell and removes its results.
void break_cell(CellResult& cell, CellState status, const std::string& remark);

// Whether a note of the report contains `part`.
bool has_note(const Comparison& comparison, std::string_view part);

}  // namespace sluice::report
