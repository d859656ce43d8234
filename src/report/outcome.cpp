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

VariantOutcome outcome_of(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  const stats::Summary& summary = analysis.summary;
  const auto result = [&](Outcome outcome, std::string reason = "") {
    return VariantOutcome{.variant = v, .outcome = outcome, .reason = std::move(reason)};
  };
  for (const std::size_t i : {v, comparison.baseline})
    if (summary.variants[i].num_broken > 0)
      return result(Outcome::kBroken,
                    cat(analysis.labels[i], ": ", status_of(comparison, analysis, i)));
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
  const std::string& reason =
      analysis.is_tested() ? summary.variants[v].remark : analysis.summary.untested;
  return result(Outcome::kUndecided,
                reason.empty() ? cat(analysis.labels[comparison.baseline], " is pending") : reason);
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
    text += cat(", p ", p_text(difference->flip_p), ", better in ", difference->num_better, " of ",
                analysis.summary.blocks.size(), " ", units(analysis));
  if (!outcome.reason.empty()) text += cat(" (", outcome.reason, ")");
  for (const std::string& doubt : outcome.grid_doubts) text += cat("; ", doubt);
  return text;
}

}  // namespace sluice::report
