// `sluice verdict`: what a program can branch on.
#pragma once

#include <string>
#include <vector>

#include "app/compare_outputs.h"
#include "report/analysis.h"
#include "report/comparison.h"

namespace sluice::app {

// Exit codes of the command: outcomes, not errors (docs/exit-codes.md).
enum class VerdictCode : int { kDiffers = 80, kEquivalent = 81, kUndecided = 82, kBroken = 83 };

struct VerdictOptions {
  std::vector<std::string> directories;  // merged, as by `compare --report`
  bool json = false;
};
// Prints one line per comparison with the baseline. Throws OtherOutcome with the exit code of the
// outcome (action.h).
void verdict_command(const VerdictOptions& options);

// What verdict --json prints.
VerdictOutput verdict_output(const report::Comparison& comparison, const report::Analysis& analysis,
                             const std::string& directory);

}  // namespace sluice::app
