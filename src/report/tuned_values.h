// What compare.tune chose, and what its grid leaves open.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::report {

// The chosen candidate of a variant for a group of seeds; nullptr without a choice.
const TuningPoint* chosen_point(const Comparison& comparison, const Settings& variant,
                                std::size_t group);

// The chosen value of one key.
struct TunedValue {
  std::string key, value;
  bool at_edge = false;  // the smallest or largest of the grid: a better value may lie outside
  // By how much a value between its neighbors might be better, in nats: the depth, below the
  // chosen value, of the parabola through it and its neighbors, on a logarithmic axis if all values
  // are positive. None at the edge and next to a value without a result.
  std::optional<double> gain;
};
// One per key of the grid, for a variant and a group of seeds; empty without a choice. Values that
// are not numbers have neither edge nor gain.
std::vector<TunedValue> tuned_values(const Comparison& comparison, const Settings& variant,
                                     std::size_t group);

// "optimizer.lr 4e-3"; with several groups "optimizer.lr 4e-3 (5 of 8 groups), 2e-3 (3 of 8
// groups)"; "" without a choice.
std::string tuned_text(const Comparison& comparison, const Settings& variant);

// Chosen values at the edge of the grid: "optimizer.lr 4e-3", with several groups
// "optimizer.lr 4e-3 in 3 of 8 groups".
std::vector<std::string> edge_values(const Comparison& comparison, const Settings& variant);

// Where the grid is coarser than the difference: a gain that could reverse the verdict, which is
// the baseline's if the variant is better, the variant's if it is worse, either's if they are
// equivalent. With several groups, the mean of the gains.
std::vector<std::string> coarse_grids(const Comparison& comparison, const Analysis& analysis,
                                      std::size_t variant);

// How the grid limits the verdict on a variant: edges, its own and the baseline's, and coarse
// grids. Empty without a verdict.
std::vector<std::string> grid_doubts(const Comparison& comparison, const Analysis& analysis,
                                     std::size_t variant);

}  // namespace sluice::report
