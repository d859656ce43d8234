// The plan of a comparison as one line: what must be fixed before the first result. It is stored
// with every run, under its seal (seal.h), so that the runs tell if comparison.json was edited or
// lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace sluice::compare {

// "metric log_perplexity; average_last 1; baseline relu; margin 0.01; ...; seeds [1, 2]; variants
// relu | geglu; tuning none".
std::string plan_text(const report::ComparisonInfo& info,
                      const std::vector<report::Settings>& variants, std::size_t baseline);
std::string plan_text(const report::Comparison& comparison);

// How the plan under which a run was made differs from that of its comparison. Keys that the former
// lacks, being from an earlier version, are not compared.
struct PlanDifference {
  // "margin none instead of 0.01": voids the error rate; empty if nothing does.
  std::string change;
  // "seeds [1, 2]": the run's plan could not give a verdict and was extended; else empty.
  std::string extended;
};
PlanDifference compare_plans(const std::string& of_run, const std::string& of_comparison);

// Whether it lists seeds and variants, as those of earlier versions do not.
bool is_whole_plan(const std::string& plan);

// Whether so many seeds, or groups of seeds, can never give a verdict (stats/sign_flip.h).
bool is_powerless(const std::vector<std::uint64_t>& seeds, std::size_t num_groups);

// "[1, 2, 3]"
std::string in_brackets(const std::vector<std::uint64_t>& seeds);
std::string in_brackets(const std::vector<std::int64_t>& looks);

}  // namespace sluice::compare
