// Selects the variants and seeds by which an unfinished table is described: a complete block, in
// which every variant has finished every seed.
//
// Among all complete blocks, the one with the most residual degrees of freedom, (v − 1)(s − 1), is
// chosen, so that
//   - a variant with few finished seeds does not affect the results of the others, and
//   - a seed that only some variants have finished is used once it adds more degrees of freedom
//     than the variants that lack it.
// Ties: more seeds, then earlier seeds. A block with the baseline is preferred to one without. The
// choice depends on which cells are finished, never on their values.
#pragma once

#include <cstddef>
#include <vector>

#include "stats/table.h"

namespace sluice::stats {

struct BlockChoice {
  std::vector<std::size_t> variants, seeds;  // ascending
};

// `eligible`: one flag per variant, else InvariantError. If no block has two seeds, returns the
// block of one seed with the most variants; if no two variants share a seed, all eligible variants
// and no seed.
BlockChoice choose_block(const Table& table, const std::vector<bool>& eligible,
                         std::size_t baseline);

}  // namespace sluice::stats
