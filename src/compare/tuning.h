// compare.tune: for each variant, the candidate with the lowest mean on the third split.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/compare_config.h"

namespace sluice::compare {

// What the tuning cells of one candidate came to.
report::TuningPoint tuning_point(std::span<const Cell> cells_of_candidate, const TuneConfig& config);

// Marks the candidate of the lowest mean; the earlier of equals. A diverged candidate loses. Returns why none could be chosen, empty where one was:
// a run that failed or has not finished says nothing about its values, so that nothing is decided without it; and all may have diverged.
std::string choose(std::span<report::TuningPoint> points_of_variant, const TuneConfig& config);

// What was tuned, from what, on what, for the report; empty without tuning.
std::string tuning_note(const std::optional<TuneConfig>& config);

}  // namespace sluice::compare
