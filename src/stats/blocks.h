// Which variants and seeds of an unfinished table are tested: a complete block, every variant of it finished under every seed of it.
//
// Of all complete blocks the one whose residuals have the most degrees of freedom, (v − 1)(s − 1), so that
//   - a variant that has only begun leaves the verdict on the finished ones as it was, and
//   - a seed that only some variants have finished joins once that tells more than the variants that lack it.
// Among equals the one with more seeds, then the earlier seeds. A block with the baseline comes before one without. The choice depends on which
// cells are finished, never on their values.
#pragma once

#include <cstddef>
#include <vector>

#include "stats/table.h"

namespace sluice::stats {

struct BlockChoice {
  std::vector<std::size_t> variants, seeds;  // ascending
};

// `eligible`: one flag per variant. Where no block has two seeds, the block of one seed with the most variants; where no two variants share a
// seed, all that are eligible and no seed. InvariantError unless there is one flag per variant.
BlockChoice choose_block(const Table& table, const std::vector<bool>& eligible, std::size_t baseline);

}  // namespace sluice::stats
