#include "report/outcome.h"

#include <algorithm>

#include "base/text_format.h"
#include "config/names.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/tuned_values.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

// "relu: 1 of 8 failed (seed 4: exit code 1)"; empty if no run is broken.
std::string broken_text(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  constexpr std::size_t kMaxRemark = 160;
  if (analysis.summary.variants[v].num_broken == 0) return "";
  for (const CellResult* cell : analysis.grid[v])
    if (cell != nullptr && !cell->remark.empty())
      return cat(analysis.labels[v], ": ", status_of(comparison, analysis, v), " (seed ",
                 cell->seed, ": ", shortened(cell->remark, kMaxRemark), ")");
  return cat(analysis.labels[v], ": ", status_of(comparison, analysis, v));
}

// "relu: seeds 1 and 2 did not learn"; empty if all runs learned.
std::string unlearned_text(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  const std::vector<std::uint64_t> seeds = seeds_without_learning(comparison, analysis, v);
  return seeds.empty() ? "" : cat(analysis.labels[v], ": ", seeds_text(seeds), " did not learn");
}

VariantOutcome outcome_of(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  const stats::Summary& summary = analysis.summary;
  const auto result = [&](Outcome outcome, std::string reason = "") {
    return VariantOutcome{.variant = v, .outcome = outcome, .reason = std::move(reason)};
  };
  for (const std::size_t i : {v, comparison.baseline})
    for (const auto& text : {broken_text, unlearned_text})
      if (std::string reason = text(comparison, analysis, i); !reason.empty())
        return result(Outcome::kBroken, std::move(reason));
  if (!comparison.plan_changes.empty())
    return result(Outcome::kBroken, listed(comparison.plan_changes, "changes"));
  switch (verdict_of(analysis, v)) {
    case Verdict::kLower:
      return result(Outcome::kBetter, early_text(comparison, analysis, v));
    case Verdict::kHigher:
      return result(Outcome::kWorse, early_text(comparison, analysis, v));
    case Verdict::kEquivalent:
      return result(Outcome::kEquivalent);
    case Verdict::kNotSignificant:
      return result(Outcome::kUndecided,
                    summary.is_powerless()
                        ? powerless_text(analysis)
                        : seeds_to_decide_text(analysis, *summary.variants[v].difference));
    case Verdict::kNone:
      break;
  }
  return result(Outcome::kUndecided, summary.untested);
}

}  // namespace

std::vector<VariantOutcome> outcomes(const Comparison& comparison, const Analysis& analysis) {
  std::vector<VariantOutcome> all;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v)
    if (v != comparison.baseline) {
      all.push_back(outcome_of(comparison, analysis, v));
      all.back().grid_doubts = grid_doubts(comparison, analysis, v);
    }
  return all;
}

Overall overall(const std::vector<VariantOutcome>& outcomes) {
  const auto has = [&](Outcome outcome) {
    return std::any_of(outcomes.begin(), outcomes.end(),
                       [&](const VariantOutcome& one) { return one.outcome == outcome; });
  };
  if (has(Outcome::kBroken)) return Overall::kBroken;
  if (has(Outcome::kUndecided) || outcomes.empty()) return Overall::kUndecided;
  return has(Outcome::kBetter) || has(Outcome::kWorse) ? Overall::kDiffers : Overall::kEquivalent;
}

std::string outcome_line(const Comparison& comparison, const Analysis& analysis,
                         const VariantOutcome& outcome) {
  const auto& difference = analysis.summary.variants[outcome.variant].difference;
  const bool is_relation =
      outcome.outcome == Outcome::kBetter || outcome.outcome == Outcome::kWorse;
  std::string text = cat(analysis.labels[outcome.variant], ": ", config::name_of(outcome.outcome),
                         is_relation                               ? " than "
                         : outcome.outcome == Outcome::kEquivalent ? " to "
                                                                   : " against ",
                         analysis.labels[comparison.baseline]);
  if (difference) text += cat(", ", difference_text(*difference));
  if (difference && difference->flip_p)
    text += cat(", p ", p_text(difference->flip_p), ", better in ",
                better_text(analysis, *difference, units(analysis)));
  if (!outcome.reason.empty()) text += cat(" (", outcome.reason, ")");
  for (const std::string& doubt : outcome.grid_doubts) text += cat("; ", doubt);
  return text;
}

}  // namespace sluice::report
