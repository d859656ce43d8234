// The analysis of a comparison: its cells as a grid, the statistics (stats/summary.h) and the
// sentences of the report. All output files are generated from one Analysis, so they agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/comparison.h"
#include "stats/held_out_error.h"
#include "stats/summary.h"

namespace sluice::report {

struct Analysis {
  std::vector<std::string> labels;  // of the variants, as in the configuration
  // [variant][seed]; nullptr if the comparison has no such cell
  std::vector<std::vector<const CellResult*>> grid;
  // Indices of the seeds in each column of the statistics' table: one, or with compare.tune.repeat
  // those of a group, whose mean is compared.
  std::vector<std::vector<std::size_t>> columns;
  // variants in the comparison's order; its blocks are columns
  stats::Summary summary;
  // of each variant's difference; nullopt for the baseline and for other metrics
  std::vector<std::optional<stats::SampleError>> sample_error;
  // two-sided, 5 % family-wise, 80 % power, at the measured residual standard deviation; by the t
  // approximation of stats/power.h, none with too few seeds
  std::optional<double> detectable_difference;
  // seeds needed to detect a difference of 0.01
  std::optional<std::int64_t> seeds_for_a_hundredth;
  bool is_tested() const { return summary.untested.empty(); }
  bool has_sample_errors() const;
  std::vector<std::size_t> compared_seeds() const;  // indices of the seeds in the blocks
};

// Borrows the cells of `comparison`. Errors: InvariantError if a cell matches no variant and seed
// or two cells match the same; UserError kBadData if the held-out documents of two cells differ.
Analysis analyze(const Comparison& comparison);

// The unfinished cells of a variant: "1 of 5 diverged, 2 waiting"; "" if all are finished.
std::string status_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

// Training FLOPs per step of a variant, from a finished cell; 0 if it has none.
double flops_per_step(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

// "no verdict" if a run diverged or failed; "no verdict yet" if runs are only waiting.
std::string_view no_verdict(const Analysis& analysis, std::size_t variant);

// Significantly lower (better) or higher (worse) than the baseline by the sign-flip test,
// equivalent within the margin, or none of these, at a family-wise error rate of 5 %; kNone: not
// tested.
enum class Verdict { kNone, kLower, kHigher, kEquivalent, kNotSignificant };
Verdict verdict_of(const Analysis& analysis, std::size_t variant);

// verdict(): the result in a few sentences. conditions(): its conditions in one sentence: steps,
// learning rate, whether the curves were still falling; empty before the first run has finished.
// headline(): both, since a result is never shown without its conditions.
std::string verdict(const Comparison& comparison, const Analysis& analysis);
std::string conditions(const Comparison& comparison, const Analysis& analysis);
std::string headline(const Comparison& comparison, const Analysis& analysis);
// Notes to the table, one or two sentences each.
std::vector<std::string> notes(const Comparison& comparison, const Analysis& analysis);

}  // namespace sluice::report
