// From directories to what report/ shows.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "compare/comparison_file.h"
#include "report/comparison.h"

namespace sluice::compare {

// The comparison of the first directory with the results of all: their seeds together, and of a cell that several have the one that came farthest.
// Cells that cannot be read are shown as failed. Errors: those of read_comparison(); kUsage where the directories do not hold the same comparison,
// tuned to the same values and with the same steps, or where their runs of a seed were made in different ways.
report::Comparison collect(std::span<const std::filesystem::path> directories);

// The curves in a metrics.jsonl: at most kMaxCurvePoints each, training losses averaged over the steps between. Empty where there is none.
inline constexpr std::size_t kMaxCurvePoints = 300;
struct Curves {
  std::vector<report::CurvePoint> training, held_out;
};
Curves read_curves(const std::filesystem::path& metrics);

}  // namespace sluice::compare
