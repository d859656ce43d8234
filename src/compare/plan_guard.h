// Protects what must be fixed before the first result: metric, average, baseline, looks, spending,
// margin, tuning, groups of seeds, and the seeds and variants themselves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compare/compare_config.h"

namespace sluice::compare {

// Compares the configuration with DIRECTORY/comparison.json, if that is the same comparison and has
// results. Errors: kUsage if one of the former differs, or the seeds where their order counts (with
// looks or groups); other tuning also if there are only results of tuning. Warns of seeds and
// variants that were added or removed, which voids the error rate; they may be added to a plan with
// too few seeds for a verdict. The plans of the runs tell afterwards (plan_text.h). Returns the
// changes to be recorded in comparison.json: earlier ones, and these if the runs are from a version
// whose plans lack seeds and variants. `variant_hashes`: of the configuration; without one in
// common it is another comparison.
std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const std::filesystem::path& directory);

// Adds a change that is not listed yet.
void add_once(std::vector<std::string>& changes, std::string change);

}  // namespace sluice::compare
