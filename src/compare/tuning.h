// compare.tune: for each variant, the candidate with the lowest mean on the third split.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compare/cell.h"
#include "compare/compare_config.h"

namespace sluice::compare {

inline constexpr std::string_view kAllDiverged = "every candidate of compare.tune diverged";

// What a variant's tuning cells say, `cells` in the order of Planner::tuning_cells(). A diverged candidate loses, and one that learned nothing in a run
// comes after all others; of equals the earlier wins. None is
// chosen while a run is failed or not finished, as nothing is known of its values, nor where all diverged.
struct Choice {
  std::vector<report::TuningPoint> points;  // one per candidate
  std::optional<report::Settings> values;   // the chosen candidate's
  std::string undecided;                    // why there is none
};
Choice choice_of(std::span<const Cell> cells, const TuneConfig& config);

// What was tuned, from what, on what, for the report; empty without tuning.
std::string tuning_note(const std::optional<TuneConfig>& config);

}  // namespace sluice::compare
