// Protects what must be fixed before the first result: metric, average, baseline, looks, spending,
// margin, groups of seeds, and the seeds and variants themselves.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compare/compare_config.h"
#include "report/comparison.h"

namespace sluice::compare {

// Compares the configuration with DIRECTORY/comparison.json, if that is the same comparison and has
// results. Errors: kUsage if one of the former differs, or the order of seeds with looks. Returns
// the changes that void the error rate, earlier ones included: seeds added after a verdict was
// possible, seeds and variants removed after they had results. `variant_hashes`: of the
// configuration; without one in common it is another comparison.
std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const std::filesystem::path& directory);

// Adds a change that is not listed yet.
void add_once(std::vector<std::string>& changes, std::string change);

// What is fixed, in one line: "metric log_perplexity; baseline relu; margin 0.01". With looks, it
// includes the seeds, since a look judges the first of them.
std::string plan_text(const report::ComparisonInfo& info, const report::Settings& baseline);
// How the plan under which a run was made differs from that of its comparison: "margin none instead
// of 0.01"; empty if it does not or is unknown.
std::string plan_difference(const std::string& of_run, const std::string& of_comparison);

}  // namespace sluice::compare
