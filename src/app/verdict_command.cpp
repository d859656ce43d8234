#include "app/verdict_command.h"

#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>
#include <vector>

#include "app/action.h"
#include "base/error.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "config/names.h"
#include "report/analysis.h"
#include "report/outcome.h"
#include "report/text.h"
#include "report/wording.h"

namespace sluice::app {
namespace {

VerdictCode exit_code_of(report::Overall overall) {
  switch (overall) {
    case report::Overall::kDiffers:
      return VerdictCode::kDiffers;
    case report::Overall::kEquivalent:
      return VerdictCode::kEquivalent;
    case report::Overall::kUndecided:
      return VerdictCode::kUndecided;
    case report::Overall::kBroken:
      return VerdictCode::kBroken;
  }
  return VerdictCode::kBroken;
}

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

VerdictRecord verdict_record(const report::Comparison& comparison, const report::Analysis& analysis,
                             const report::VariantOutcome& outcome) {
  VerdictRecord record{.settings = comparison.variants[outcome.variant].settings,
                       .verdict = outcome.outcome,
                       .grid_doubts = outcome.grid_doubts};
  if (!outcome.reason.empty()) record.reason = outcome.reason;
  const auto& difference = analysis.summary.variants[outcome.variant].difference;
  if (!difference) return record;
  record.difference = difference->value;
  record.p = difference->flip_p;
  record.seeds = analysis.compared_seeds().size();
  if (difference->better_rate) {
    record.seeds_better = difference->num_better;
    record.better_rate_low = difference->better_rate->low;
    record.better_rate_high = difference->better_rate->high;
  }
  record.seeds_to_decide = report::seeds_to_decide(analysis, *difference);
  if (difference->interval) {
    record.difference_low = finite(difference->interval->low);
    record.difference_high = finite(difference->interval->high);
  }
  return record;
}

}  // namespace

VerdictOutput verdict_output(const report::Comparison& comparison, const report::Analysis& analysis,
                             const std::string& directory) {
  const std::vector<report::VariantOutcome> outcomes = report::outcomes(comparison, analysis);
  VerdictOutput output{.directory = directory,
                       .outcome = report::overall(outcomes),
                       .conditions = report::conditions(comparison, analysis)};
  output.exit_code = static_cast<std::int64_t>(exit_code_of(output.outcome));
  for (const report::VariantOutcome& outcome : outcomes)
    output.comparisons.push_back(verdict_record(comparison, analysis, outcome));
  return output;
}

void verdict_command(const VerdictOptions& options) {
  const report::Comparison comparison = compare::collect(
      std::vector<std::filesystem::path>(options.directories.begin(), options.directories.end()));
  const report::Analysis analysis = report::analyze(comparison);
  const VerdictOutput output = verdict_output(comparison, analysis, options.directories.front());
  if (options.json) {
    std::cout << config::to_json(output);
  } else {
    for (const report::VariantOutcome& outcome : report::outcomes(comparison, analysis))
      std::cout << report::console_text(report::outcome_line(comparison, analysis, outcome))
                << "\n";
    std::cout << "verdict  " << config::name_of(output.outcome)
              << (output.comparisons.empty() ? cat(" (", analysis.summary.untested, ")") : "")
              << "\n";
  }
  throw OtherOutcome{static_cast<int>(output.exit_code)};
}

}  // namespace sluice::app
