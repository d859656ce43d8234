// Statistics of a comparison: means, differences to the baseline, tests, letters. The rules are the
// same for every comparison; docs/statistics.md lists them with the sources.
//
// - A variant with a broken cell gets no verdict: dropping the broken seed would bias the result.
//   It keeps the mean and std of its finished seeds; `remark` gives the reason. The others are
//   analyzed without it.
// - Tests are made only when they were planned: once every variant that is not broken has finished
//   all seeds, or those of a look (stats/looks.h). Testing the variants that finish first would
//   allow stopping as soon as one is significant. Before and between, differences and means
//   describe a complete block of what has finished (stats/blocks.h); a variant outside it is
//   pending, as its `remark` states, and `untested` says that there is no verdict.
// - Mean and std use all finished seeds of the variant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stats/block_model.h"
#include "stats/looks.h"
#include "stats/table.h"

namespace sluice::stats {

// What was fixed before the first result.
struct Plan {
  double level = 0.05;                // family-wise, over all comparisons and looks
  std::vector<std::int64_t> looks{};  // numbers of seeds; empty: one look, at all seeds
  Spending spending = Spending::kObrienFleming;
  std::optional<double> margin{};  // differences below it are practically 0
  std::uint64_t key = 0;           // of the sampled flips (sign_flip.h)
  std::string unit = "seed";       // what a column of the table is, in messages
};

// kEquivalent: the interval lies within the margin, whether or not 0 is inside it. kBetter and
// kWorse: significant; lower values are better. kNone: not tested.
enum class Conclusion { kNone, kBetter, kWorse, kEquivalent, kUndecided };

// variant − baseline over the blocks. Negative: the variant is better.
struct Difference {
  double value = 0;
  // simultaneous over all comparisons with the baseline, by inverting the sign-flip test; a bound
  // may be infinite
  std::optional<Interval> interval;
  std::optional<double> flip_p;  // sign-flip test, adjusted over the comparisons (max-T)
  Conclusion conclusion = Conclusion::kNone;
  std::optional<std::size_t> found_at_look;  // index of the first look with a significant result
  // Seeds that would give a verdict with 80 % probability if the true difference and spread are the
  // observed ones (seeds_to_decide in power.h); more than there are. None if there is a verdict,
  // without spread, above a million, or with looks, which fix the number of seeds.
  std::optional<std::int64_t> seeds_to_decide;
  std::size_t num_better = 0;           // seeds in which the variant is better than the baseline
  std::optional<Interval> better_rate;  // Clopper-Pearson, 1 − level, for this variant alone
  // Secondary. Block model; Holm over the comparisons with the baseline
  std::optional<double> p, p_holm;
  std::optional<double> paired_p, paired_p_holm;  // paired t-tests; Holm over the same comparisons
  // "the same difference in every seed: zero variance, p = 1", else empty
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
  // all pairs of analyzed variants, sign-flip test with max-T; letter a has the lowest mean; empty
  // if untested
  std::string letters;
};

struct Summary {
  std::vector<VariantSummary> variants;  // in the order of the table
  std::size_t baseline = 0;
  std::size_t num_analyzed = 0;
  // with the baseline; the tests and the intervals adjust for this number
  std::size_t num_comparisons = 0;
  // indices of the seeds over which the analyzed variants are compared
  std::vector<std::size_t> blocks;
  std::optional<double> residual_std;  // σ̂ of the block model; the std of a Design (power.h)
  double residual_df = 0;
  std::string unit;                 // of the plan
  double level = 0.05;              // of the plan
  double test_level = 0.05;         // at this look; equal to `level` without looks
  std::optional<std::size_t> look;  // index of this look; none without looks or between them
  // the smallest p of the sign-flip test with these seeds; none if untested
  std::optional<double> smallest_p;
  // reason if there are no tests, in one line; otherwise empty
  std::string untested;
  std::vector<std::string> remarks;  // other remarks for the reader, one line each

  // Whether these seeds are too few for any significant result.
  bool is_powerless() const { return smallest_p && *smallest_p > test_level; }
};

// InvariantError if `baseline` is not in the table, the level is not in (0, 1), or the looks do not
// ascend to the number of seeds.
Summary summarize(const Table& table, std::size_t baseline, const Plan& plan = {});

}  // namespace sluice::stats
