// verdict(), conditions() and headline() of analysis.h.
#include <algorithm>
#include <optional>

#include "base/text_format.h"
#include "report/analysis.h"
#include "report/falling.h"
#include "report/text.h"
#include "report/tuned_values.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

std::vector<std::string> labels_with(const Analysis& analysis, Verdict verdict) {
  std::vector<std::string> labels;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v)
    if (verdict_of(analysis, v) == verdict) labels.push_back(analysis.labels[v]);
  return labels;
}

void add(std::string& text, const std::vector<std::string>& labels, std::string_view one,
         std::string_view many) {
  if (!labels.empty())
    text += cat(text.empty() ? "" : " ", listed(labels), " ", labels.size() == 1 ? one : many, ".");
}

// Variants without a verdict in a tested comparison: diverged or failed ones.
void add_untested(std::string& text, const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::string> broken;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v)
    if (v != comparison.baseline && !analysis.summary.variants[v].analyzed)
      broken.push_back(analysis.labels[v]);
  add(text, broken, "has no verdict because a run diverged or failed",
      "have no verdict because runs diverged or failed");
}

// Variants whose verdict depends on the grid of compare.tune.
void add_grid_doubts(std::string& text, const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::string> doubted;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v)
    if (v != comparison.baseline && !grid_doubts(comparison, analysis, v).empty())
      doubted.push_back(analysis.labels[v]);
  if (!doubted.empty())
    text += cat(" The grid of compare.tune limits the verdict on ", listed(doubted),
                "; `sluice verdict` and the notes of the report say how.");
}

bool is_concluded(const Analysis& analysis) {
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const Verdict verdict = verdict_of(analysis, v);
    if (verdict != Verdict::kNone && verdict != Verdict::kNotSignificant) return true;
  }
  return false;
}

std::string verdict_text(const Comparison& comparison, const Analysis& analysis) {
  const std::string& baseline = analysis.labels[comparison.baseline];
  if (comparison.seeds.size() == 1)
    return "Only one seed: no significance tests, variants are not ranked.";
  if (!analysis.is_tested()) return sentence(cat("No verdict: ", analysis.summary.untested));
  std::string text;
  if (analysis.summary.is_powerless() && !is_concluded(analysis)) {
    text = sentence(cat("No verdict is possible ", powerless_text(analysis)));
    add_untested(text, comparison, analysis);
    return text;
  }
  if (!analysis.summary.variants[comparison.baseline].analyzed)
    text = cat("No comparison with the baseline ", baseline, " (",
               status_of(comparison, analysis, comparison.baseline),
               "); the letters compare the other variants.");
  const std::string better = cat("significantly better than ", baseline, " (lower held-out ",
                                 metric_title(comparison), ")");
  const std::string worse = cat("significantly worse than ", baseline, " (higher)");
  const std::string equivalent =
      cat("equivalent to ", baseline, ": less than ", short_number(comparison.margin.value_or(0)),
          " ", metric_unit(comparison), " apart");
  const std::string not_significant =
      cat(comparison.margin ? "undecided: neither different from "
                            : "not significantly different from ",
          baseline, comparison.margin ? " nor equivalent (" : " (", analysis.summary.blocks.size(),
          " ", units(analysis), ")");
  add(text, labels_with(analysis, Verdict::kLower), cat("is ", better), cat("are ", better));
  add(text, labels_with(analysis, Verdict::kHigher), cat("is ", worse), cat("are ", worse));
  add(text, labels_with(analysis, Verdict::kEquivalent), cat("is ", equivalent),
      cat("are ", equivalent));
  add(text, labels_with(analysis, Verdict::kNotSignificant), cat("is ", not_significant),
      cat("are ", not_significant));
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::string early = early_text(comparison, analysis, v);
    if (!early.empty()) text += cat(" ", analysis.labels[v], " was ", early, ".");
  }
  add_grid_doubts(text, comparison, analysis);
  add_untested(text, comparison, analysis);
  return text;
}

// "1,200 steps", "1,100 to 1,300 steps"; empty before the first run has finished.
std::string steps_text(const Comparison& comparison) {
  std::int64_t low = 0, high = 0;
  for (const CellResult& cell : comparison.cells) {
    if (cell.state != CellState::kFinished || cell.steps <= 0) continue;
    low = low == 0 ? cell.steps : std::min(low, cell.steps);
    high = std::max(high, cell.steps);
  }
  if (high == 0) return "";
  return low == high ? count_of(high, "step")
                     : cat(with_commas(low), " to ", count_of(high, "step"));
}

std::string rate_text(const Comparison& comparison) {
  if (!is_rate_tuned(comparison)) {
    if (varies(comparison, kRate)) return "learning rate varied, not tuned";
    return varies(comparison, "optimizer.type")
               ? "learning rate configured per optimizer, not tuned"
               : "the same learning rate for all variants, not tuned";
  }
  std::vector<std::string> values;
  for (const TuningPoint& point : comparison.tuning) {
    for (const auto& [key, value] : point.candidate)
      if (key == kRate && std::find(values.begin(), values.end(), value) == values.end())
        values.push_back(value);
  }
  return values.empty() ? "learning rate tuned per variant"
                        : cat("learning rate tuned per variant over ", listed(values, "values"));
}

std::string curve_text(const Analysis& analysis) {
  std::vector<std::string> falling;
  double low = 0, high = 0;
  std::size_t num_known = 0;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::optional<double> decrease = final_decrease(analysis, v);
    if (!decrease) continue;
    ++num_known;
    if (*decrease < kMinDecrease) continue;
    low = falling.empty() ? *decrease : std::min(low, *decrease);
    high = std::max(high, *decrease);
    falling.push_back(analysis.labels[v]);
  }
  constexpr std::string_view kWhen = " over the last quarter of the steps";
  if (num_known == 0) return "";
  if (falling.empty())
    return cat("; curves flat at the end (decrease below ", fixed(kMinDecrease, 2), " nats", kWhen,
               ")");
  const std::string from = fixed(low, 2), to = fixed(high, 2);
  return cat("; ", falling.size() == num_known ? "curves" : cat("curves of ", listed(falling)),
             " still falling (by ", from == to ? from : cat(from, " to ", to), " nats", kWhen, ")");
}

}  // namespace

std::string conditions(const Comparison& comparison, const Analysis& analysis) {
  const std::string steps = steps_text(comparison);
  return steps.empty()
             ? ""
             : cat("After ", steps, "; ", rate_text(comparison), curve_text(analysis), ".");
}

std::string verdict(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::string> without_learning;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::vector<std::uint64_t> seeds = seeds_without_learning(comparison, analysis, v);
    if (!seeds.empty())
      without_learning.push_back(cat(analysis.labels[v], " (", seeds_text(seeds), ")"));
  }
  std::string text = verdict_text(comparison, analysis);
  if (!comparison.plan_changes.empty())
    text = cat("The error rate does not hold: ", listed(comparison.plan_changes, "changes"), ". ",
               text);
  return without_learning.empty()
             ? text
             : cat(text, " Runs that did not learn: ", listed(without_learning), ".");
}

std::string headline(const Comparison& comparison, const Analysis& analysis) {
  const std::string condition = conditions(comparison, analysis);
  return cat(verdict(comparison, analysis), condition.empty() ? "" : " ", condition);
}

}  // namespace sluice::report
