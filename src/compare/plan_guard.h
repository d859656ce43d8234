// Protects what must be fixed before the first result: compare.looks, compare.spending,
// compare.margin and the seeds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compare/compare_config.h"

namespace sluice::compare {

// Compares the configuration with DIRECTORY/comparison.json, if that is the same comparison and has
// results. Errors: kUsage if looks, spending or margin differ. Returns the changes of the seeds
// that void the error rate, earlier ones included: seeds added after a verdict was possible, seeds
// removed after they had results. `variant_hashes`: of the configuration; without one in common it
// is another comparison.
std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const std::filesystem::path& directory);

}  // namespace sluice::compare
