// Reads comparison directories for report/.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "compare/comparison_file.h"
#include "report/comparison.h"

namespace sluice::compare {

// Merges the results of all directories into the comparison of the first: the union of their seeds
// and, of duplicate cells, the one that progressed furthest. Unreadable cells count as failed.
// Errors: those of read_comparison(); kUsage unless all directories have the same comparison with
// the same tuned values and steps, and all runs of a seed have the same environment.
report::Comparison collect(std::span<const std::filesystem::path> directories);

// The curves in a metrics.jsonl, at most kMaxCurvePoints points each; a training point is the mean
// over the steps since the previous one. Empty if there is no such file.
inline constexpr std::size_t kMaxCurvePoints = 300;
struct Curves {
  std::vector<report::CurvePoint> training, held_out;
};
Curves read_curves(const std::filesystem::path& metrics);
// Whether a run was evaluated after step 0: its result can then be guessed before it ends.
bool has_evaluation(std::span<const report::CurvePoint> held_out);

// The log-perplexities of all evaluations after step 0 that scored `num_targets` targets, in order.
// kBadData if one has no value or a line is damaged, kMissingInput if there is no such file.
std::vector<double> evaluations_of(const std::filesystem::path& metrics, std::uint64_t num_targets);

}  // namespace sluice::compare
