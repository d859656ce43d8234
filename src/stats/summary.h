// All that a comparison says about its table: means, differences to the baseline, tests, letters. The rules were fixed before the data and
// stand in docs/statistics.md with the sources.
//
// - A variant with a broken cell gets no verdict: leaving the broken seed out would favour it. It keeps mean and std of its finished
//   seeds and says why. Nor is a variant analysed that has no finished cell.
// - Differences, p and letters use one complete block (stats/blocks.h): the analysed variants, under the seeds that all of them have finished. A
//   variant that lacks some of these seeds is pending and changes nothing for the others; remark says so. Mean and std use all finished seeds of
//   the variant. So they may disagree a little until the last cell is done; until then remarks says that figures are preliminary.
// - Fewer than two seeds in the block: no interval, no p, no letters, and `untested` says why.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "stats/block_model.h"
#include "stats/table.h"

namespace sluice::stats {

// variant − baseline over the blocks: below 0 the variant is better, for a metric where less is better.
struct Difference {
  double value = 0;
  std::optional<Interval> interval;               // simultaneous over all comparisons with the baseline (Bonferroni)
  std::optional<double> p, p_holm;                // block model; Holm over the comparisons with the baseline
  std::optional<double> paired_p, paired_p_holm;  // paired t-tests; Holm over the same comparisons
  std::string remark;                             // "the same in every seed: no spread to judge it by", else empty
};

struct VariantSummary {
  std::size_t num_finished = 0, num_broken = 0, num_waiting = 0;  // seeds
  std::optional<double> mean, std;                                // of all finished seeds; std from two on
  bool analysed = false;
  // Why there is no verdict: "1 of 5 seeds diverged or failed: no verdict", "pending: 2 of 5 seeds finished"; empty where analysed.
  std::string remark;
  std::optional<Difference> difference;  // none for the baseline, and where it or the variant is not analysed or no block is complete
  std::string letters;  // all pairs of analysed variants, Holm; letter a has the lowest mean; empty where nothing is tested
};

struct Summary {
  std::vector<VariantSummary> variants;  // in the order of the table
  std::size_t baseline = 0;
  std::size_t num_analysed = 0;
  std::size_t num_comparisons = 0;     // with the baseline: what Holm's rule and the intervals adjust for
  std::vector<std::size_t> blocks;     // indices of the seeds that the analysed variants are compared over
  std::optional<double> residual_std;  // σ̂ of the block model: goes into power.h's Design
  double residual_df = 0;
  double level = 0.05;
  std::string untested;              // why there are no tests at all, in one line; empty where there are
  std::vector<std::string> remarks;  // whatever else a reader must know, one line each
};

// InvariantError where `baseline` is not in the table or `level` not in (0, 1).
Summary summarise(const Table& table, std::size_t baseline, double level = 0.05);

}  // namespace sluice::stats
