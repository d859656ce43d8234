// What a comparison's cells say, ready to be shown: the cells in a grid, the statistics (stats/summary.h), and the sentences that belong
// beside them. Every output is made from one Analysis, so that no two can disagree.
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
  std::vector<std::string> labels;                              // of the variants, as written
  std::vector<std::vector<const Cell*>> grid;                   // [variant][seed]; nullptr where the comparison has no such cell
  stats::Summary summary;                                       // variants and seeds in the comparison's order
  std::vector<std::optional<stats::SampleError>> sample_error;  // of the difference; none for the baseline and other metrics
  std::optional<double> detectable_difference;                  // two-sided 5 % family-wise, 80 % power, at the measured residual std
  std::optional<std::int64_t> seeds_for_a_hundredth;            // seeds that a difference of 0.01 would need
  bool is_tested() const { return summary.untested.empty(); }
  bool has_sample_errors() const;
};

// Borrows the cells of `comparison`. InvariantError where a cell fits no variant and seed, or two fit the same; UserError kBadData where the
// documents of two cells are not the same.
Analysis analyse(const Comparison& comparison);

// What became of the cells that are not finished: "1 of 5 diverged, 2 waiting"; "" where all are.
std::string status_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

// Training FLOPs of one step of a variant, from a finished cell; 0 where it has none.
double flops_per_step(const Comparison& comparison, const Analysis& analysis, std::size_t variant);

// "no verdict" where a run broke; "no verdict yet" where they only wait.
std::string_view no_verdict(const Analysis& analysis, std::size_t variant);

// Better (lower) or worse (higher) than the baseline at the 5 % family-wise level (Holm), not told apart, or not tested.
enum class Verdict { kNone, kLower, kHigher, kSame };
Verdict verdict_of(const Analysis& analysis, std::size_t variant);

// The result in a few sentences; the conditions that it holds under in one: steps, learning rate, whether the curves still fell (empty before a run
// is finished); and both, as they are shown. A result is never shown without its conditions.
std::string verdict(const Comparison& comparison, const Analysis& analysis);
std::string conditions(const Comparison& comparison, const Analysis& analysis);
std::string headline(const Comparison& comparison, const Analysis& analysis);
// What a reader must know beside the table, a sentence or two each.
std::vector<std::string> notes(const Comparison& comparison, const Analysis& analysis);

}  // namespace sluice::report
