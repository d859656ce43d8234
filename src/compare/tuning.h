// compare.tune: for each variant, the candidate with the lowest mean log-perplexity on the tuning
// split.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare/cell.h"
#include "compare/compare_config.h"

namespace sluice::compare {

inline constexpr std::string_view kAllDiverged = "every candidate of compare.tune diverged";

// Chooses the values of a variant for a group of seeds (compare.tune.repeat) from its tuning cells,
// in the order of Planner::tuning_cells().
// Diverged candidates are excluded; candidates with a run no better than a uniform guess
// (store::learned_nothing) rank last; the earlier one wins a tie. There is no choice if a run
// failed or is not finished, or if all candidates diverged.
struct Choice {
  std::vector<report::TuningPoint> points;  // one per candidate
  std::optional<report::Settings> values;   // the chosen candidate's
  std::string undecided;                    // why there is no choice
};
Choice choose_values(std::span<const Cell> cells, const TuneConfig& config, std::size_t group = 0);

// The candidate with the lowest rank is chosen: mean log-perplexity, after all those that learned.
std::pair<bool, double> rank_of(const report::TuningPoint& point);

// The tuned keys, their candidates and the seeds; empty without tuning. For the plan
// (plan_text.h): "optimizer.lr from 1e-3, 3e-3 over seeds [101]". For the report: a sentence.
std::string tuning_plan(const std::optional<TuneConfig>& config);
std::string tuning_note(const std::optional<TuneConfig>& config);

}  // namespace sluice::compare
