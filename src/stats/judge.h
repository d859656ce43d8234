// The tests of summarize() (summary.h) on a complete block.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "stats/summary.h"

namespace sluice::stats {

// The analyzed variants and their values in the blocks.
struct Blocks {
  std::vector<std::size_t> variants;  // of the table
  std::vector<double> values;         // variants × seeds
  std::size_t num_seeds = 0;
  std::optional<std::size_t> baseline;  // index into `variants`

  std::span<const double> row(std::size_t i) const {
    return std::span(values).subspan(i * num_seeds, num_seeds);
  }
};

// Sets the tests, intervals, conclusions and letters of the variants in `blocks`. The differences
// and, with looks, summary.look are set. `levels`: of each look, or one.
void judge(const Blocks& blocks, const Plan& plan, std::span<const double> levels,
           Summary& summary);

}  // namespace sluice::stats
