// Statistics of a comparison: means, differences to the baseline, tests, letters. The rules were
// fixed before the data were seen; docs/statistics.md lists them with the sources.
//
// - A variant with a broken cell gets no verdict: dropping the broken seed would bias the result.
//   It keeps the mean and std of its finished seeds; `remark` gives the reason. A variant without a
//   finished cell is not analyzed either.
// - Differences, p and letters use one complete block (stats/blocks.h): the analyzed variants under
//   the seeds that all of them have finished. A variant that lacks some of these seeds is pending,
//   as its `remark` states, and does not affect the others. Mean and std use all finished seeds of
//   the variant, so the two may differ slightly until the last cell is finished; until then
//   `remarks` reports that figures are preliminary.
// - With fewer than two seeds in the block there is no interval, p or letter, and `untested` gives
//   the reason.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "stats/block_model.h"
#include "stats/table.h"

namespace sluice::stats {

// variant − baseline over the blocks. Negative: the variant is better, if lower is better.
struct Difference {
  double value = 0;
  // simultaneous over all comparisons with the baseline (Bonferroni)
  std::optional<Interval> interval;
  // block model; Holm over the comparisons with the baseline
  std::optional<double> p, p_holm;
  std::optional<double> paired_p, paired_p_holm;  // paired t-tests; Holm over the same comparisons
  // "the same difference in every seed: zero variance, paired p = 1", else empty
  std::string remark;
};

struct VariantSummary {
  std::size_t num_finished = 0, num_broken = 0, num_waiting = 0;  // seeds
  // of all finished seeds; std requires two
  std::optional<double> mean, std;
  bool analyzed = false;
  // Why there is no verdict: "1 of 5 seeds diverged or failed: no verdict", "pending: 2 of 5 seeds
  // finished"; empty if analyzed.
  std::string remark;
  // none for the baseline, if it or the variant is not analyzed, or if no block is complete
  std::optional<Difference> difference;
  // all pairs of analyzed variants, Holm; letter a has the lowest mean; empty if untested
  std::string letters;
};

struct Summary {
  std::vector<VariantSummary> variants;  // in the order of the table
  std::size_t baseline = 0;
  std::size_t num_analyzed = 0;
  // with the baseline; Holm's rule and the intervals adjust for this number
  std::size_t num_comparisons = 0;
  // indices of the seeds over which the analyzed variants are compared
  std::vector<std::size_t> blocks;
  std::optional<double> residual_std;  // σ̂ of the block model; the std of a Design (power.h)
  double residual_df = 0;
  double level = 0.05;
  // reason if there are no tests, in one line; otherwise empty
  std::string untested;
  std::vector<std::string> remarks;  // other remarks for the reader, one line each
};

// InvariantError if `baseline` is not in the table or `level` is not in (0, 1).
Summary summarize(const Table& table, std::size_t baseline, double level = 0.05);

}  // namespace sluice::stats
