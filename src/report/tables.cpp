#include "report/tables.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/text_format.h"
#include "config/names.h"
#include "report/outcome.h"
#include "report/published.h"
#include "report/text.h"
#include "report/tuned_values.h"
#include "report/wording.h"
#include "stats/moments.h"

namespace sluice::report {
namespace {

constexpr int kDigits = 4, kPaperDigits = 3;

std::string mean_text(const stats::VariantSummary& variant) {
  const std::string mean = number_text(variant.mean, kDigits);
  return variant.std ? cat(mean, " (", number_text(variant.std, kDigits), ")") : mean;
}

// Replaces the difference if there is none.
std::string no_difference(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  if (v == analysis.summary.baseline)
    return analysis.summary.variants[v].analyzed
               ? "baseline"
               : cat("baseline; ", status_of(comparison, analysis, v));
  const std::string status = status_of(comparison, analysis, v);
  return status.empty() ? std::string(kUnknown) : cat(status, ": ", no_verdict(analysis, v));
}

// As `sluice verdict` says it; none of the baseline.
std::string outcome_word(const std::vector<VariantOutcome>& all, std::size_t v) {
  for (const VariantOutcome& one : all)
    if (one.variant == v) return std::string(config::name_of(one.outcome));
  return std::string(kUnknown);
}

std::vector<std::string> result_row(const Comparison& comparison, const Analysis& analysis,
                                    const std::vector<VariantOutcome>& all, std::size_t v) {
  const stats::VariantSummary& variant = analysis.summary.variants[v];
  const stats::Difference none, &difference = variant.difference ? *variant.difference : none;
  const auto& error = analysis.sample_error[v];
  const std::string unknown(kUnknown);
  const bool is_marked = !seeds_without_learning(comparison, analysis, v).empty();
  std::vector<std::string> row = {
      is_marked ? cat(analysis.labels[v], " ", kMark) : analysis.labels[v],
      std::to_string(variant.num_finished), mean_text(variant),
      variant.difference ? difference_text(difference) : no_difference(comparison, analysis, v)};
  if (analysis.is_tested()) {
    row.push_back(outcome_word(all, v));
    row.push_back(p_text(difference.flip_p));
    row.push_back(difference.better_rate ? better_text(analysis, difference) : unknown);
    row.push_back(variant.letters.empty() ? unknown : variant.letters);
  }
  if (analysis.has_sample_errors())
    row.push_back(error && error->std_error ? cat("±", fixed(*error->std_error, kDigits))
                                            : unknown);
  return row;
}

// The secondary tests.
void add_t_tests(TextTable& table, const Analysis& analysis) {
  table.columns.insert(table.columns.end(), {{"pooled t-test, p"}, {"paired t-test, p"}});
  for (std::size_t v = 0; v < table.rows.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    table.rows[v].push_back(p_text(difference ? difference->p_holm : std::nullopt));
    table.rows[v].push_back(p_text(difference ? difference->paired_p_holm : std::nullopt));
  }
}

void add_published(TextTable& table, const Comparison& comparison) {
  const Published* baseline =
      published_result(comparison, comparison.variants[comparison.baseline]);
  for (const char* title : {"paper, 65,536 steps", "paper, difference", "paper, 524,288 steps"})
    table.columns.push_back({title});
  for (std::size_t v = 0; v < table.rows.size(); ++v) {
    const Published* paper = published_result(comparison, comparison.variants[v]);
    std::vector<std::string> texts(3, std::string(kUnknown));
    if (paper != nullptr) {
      texts = {cat(fixed(paper->mean, kPaperDigits), " (", fixed(paper->std, kPaperDigits), ")"),
               std::string(kUnknown), fixed(paper->long_run, kPaperDigits)};
      if (baseline == paper) texts[1] = "baseline";
      if (baseline != nullptr && baseline != paper)
        texts[1] = signed_text(paper->mean - baseline->mean, kPaperDigits);
    }
    table.rows[v].insert(table.rows[v].end(), texts.begin(), texts.end());
  }
}

std::string mean_seconds(const Analysis& analysis, std::size_t v) {
  std::vector<double> seconds;
  for (const CellResult* cell : analysis.grid[v]) {
    if (cell != nullptr && cell->state == CellState::kFinished)
      seconds.push_back(cell->training_seconds);
  }
  return seconds.empty() ? std::string(kUnknown) : human_duration(stats::mean_of(seconds));
}

// Steps of the finished cells, or "mixed".
std::string steps_text(const Analysis& analysis, std::size_t v) {
  std::int64_t steps = 0;
  for (const CellResult* cell : analysis.grid[v]) {
    if (cell == nullptr || cell->state != CellState::kFinished) continue;
    if (steps != 0 && steps != cell->steps) return "mixed";
    steps = cell->steps;
  }
  return steps == 0 ? std::string(kUnknown) : with_commas(steps);
}

std::string tuning_text(const TuningPoint& point) {
  stats::VariantSummary summary;
  if (!point.log_perplexity.empty()) summary.mean = stats::mean_of(point.log_perplexity);
  summary.std = stats::sample_std(point.log_perplexity);
  if (point.remark.empty())
    return point.learned_nothing ? cat(mean_text(summary), " ", kMark) : mean_text(summary);
  const std::string remark = shortened(point.remark, 60);
  return summary.mean ? cat(mean_text(summary), "; ", remark) : remark;
}

std::string cell_text(const Comparison& comparison, const CellResult* cell) {
  if (cell == nullptr) return "waiting";
  if (cell->state == CellState::kFinished)
    return cat(number_text(metric_value(comparison, *cell), kDigits),
               did_not_learn(*cell) ? cat(" ", kMark) : "");
  return std::string(config::name_of(cell->state));
}

}  // namespace

std::string seal_text(const Comparison& comparison) {
  const std::string unsealed =
      comparison.num_unsealed == 0
          ? ""
          : cat(count_of(static_cast<std::int64_t>(comparison.num_unsealed), "run"),
                " without a seal, of an earlier version");
  if (comparison.seal.empty()) return unsealed.empty() ? "none" : cat("none; ", unsealed);
  return cat(comparison.seal, unsealed.empty() ? "" : cat("; ", unsealed));
}

std::string hash_text(const std::string& hash) {
  return hash.empty() ? "differs by variant" : hash;
}

std::string difference_text(const stats::Difference& difference) {
  const std::string value = signed_text(difference.value, kDigits);
  if (!difference.interval) return value;
  if (!std::isfinite(difference.interval->low) || !std::isfinite(difference.interval->high))
    return cat(value, " [unbounded]");
  return cat(value, " [", signed_text(difference.interval->low, kDigits), ", ",
             signed_text(difference.interval->high, kDigits), "]");
}

std::string settings_text(const Settings& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += cat(text.empty() ? "" : ", ", key, " ", value);
  return text.empty() ? std::string(kUnknown) : text;
}

TextTable short_result_table(const Comparison& comparison, const Analysis& analysis) {
  const bool has_std =
      std::any_of(analysis.summary.variants.begin(), analysis.summary.variants.end(),
                  [](const stats::VariantSummary& variant) { return variant.std.has_value(); });
  const std::string& baseline = analysis.labels[comparison.baseline];
  TextTable table{.columns = {{"variant", false},
                              {"n"},
                              {cat(metric_title(comparison), has_std ? ", mean (std)" : "")}},
                  .rows = {}};
  table.columns.push_back(
      {cat("difference from ", shortened(baseline, 40),
           analysis.is_tested() ? cat(" [", interval_percent(analysis), " % interval]") : "")});
  if (analysis.is_tested()) {
    table.columns.insert(table.columns.end(),
                         {{"verdict", false}, {"p"}, {"better in"}, {"letters", false}});
  }
  if (analysis.has_sample_errors()) table.columns.push_back({"held-out error"});
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  for (std::size_t v = 0; v < comparison.variants.size(); ++v)
    table.rows.push_back(result_row(comparison, analysis, all, v));
  return table;
}

TextTable result_table(const Comparison& comparison, const Analysis& analysis) {
  TextTable table = short_result_table(comparison, analysis);
  if (analysis.is_tested()) add_t_tests(table, analysis);
  if (has_published(comparison)) add_published(table, comparison);
  return table;
}

TextTable size_table(const Comparison& comparison, const Analysis& analysis) {
  const bool tuned =
      std::any_of(comparison.variants.begin(), comparison.variants.end(),
                  [&](const Variant& v) { return !tuned_text(comparison, v.settings).empty(); });
  const std::string_view token = comparison.targets_are_text ? "token" : "target token";
  TextTable table{.columns = {{"variant", false},
                              {"parameters"},
                              {cat("multiply-adds per ", token)},
                              {cat("training FLOPs per ", token)},
                              {"d_ff"},
                              {"residual mismatch"},
                              {"steps"},
                              {"mean training time"}},
                  .rows = {}};
  if (tuned) table.columns.push_back({"tuned", false});
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
    const Variant& variant = comparison.variants[v];
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {analysis.labels[v],
           count_text(static_cast<double>(variant.sizes.num_parameters)),
           count_text(variant.sizes.multiply_adds_per_token),
           count_text(variant.sizes.flops_per_token),
           count_text(static_cast<double>(variant.sizes.d_ff)),
           cat(signed_text(100 * variant.sizes.d_ff_mismatch, 3), " %"),
           steps_text(analysis, v),
           mean_seconds(analysis, v)};
    const std::string values = tuned_text(comparison, variant.settings);
    if (tuned) row.push_back(values.empty() ? std::string(kUnknown) : values);
  }
  return table;
}

TextTable tuning_table(const Comparison& comparison) {
  TextTable table{.columns = {{"variant", false}}, .rows = {}};
  std::vector<Settings> candidates;
  for (const TuningPoint& point : comparison.tuning) {
    if (std::find(candidates.begin(), candidates.end(), point.candidate) == candidates.end())
      candidates.push_back(point.candidate);
  }
  for (const Settings& candidate : candidates) table.columns.push_back({settings_text(candidate)});
  table.columns.push_back({"chosen", false});
  const auto add_row = [&](const Variant& variant, std::uint64_t group) {
    std::vector<std::string> row(candidates.size() + 2, std::string(kUnknown));
    row.front() = label_of(variant.settings);
    if (comparison.seed_groups > 1) row.front() += cat(", group ", group + 1);
    for (const TuningPoint& point : comparison.tuning) {
      if (point.settings != variant.settings || point.group != group) continue;
      const auto place = static_cast<std::size_t>(
          std::find(candidates.begin(), candidates.end(), point.candidate) - candidates.begin());
      row[place + 1] = tuning_text(point);
      if (point.chosen) row.back() = label_of(point.candidate);
    }
    const bool has_points = std::any_of(row.begin() + 1, row.end(),
                                        [](const std::string& text) { return text != kUnknown; });
    if (has_points) table.rows.push_back(std::move(row));
  };
  for (const Variant& variant : comparison.variants)
    for (std::uint64_t group = 0; group < comparison.seed_groups; ++group) add_row(variant, group);
  return table;
}

TextTable cell_table(const Comparison& comparison, const Analysis& analysis) {
  TextTable table{.columns = {{"seed"}}, .rows = {}};
  for (const std::string& label : analysis.labels) table.columns.push_back({label});
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row.push_back(std::to_string(comparison.seeds[s]));
    for (const auto& cells : analysis.grid) row.push_back(cell_text(comparison, cells[s]));
  }
  return table;
}

TextTable failure_table(const Comparison& comparison) {
  TextTable table{.columns = {{"variant", false},
                              {"seed"},
                              {"status", false},
                              {"reason", false},
                              {"directory", false}},
                  .rows = {}};
  for (const CellResult& cell : comparison.cells) {
    if (cell.state != CellState::kDiverged && cell.state != CellState::kFailed) continue;
    table.rows.push_back({label_of(cell.settings), std::to_string(cell.seed),
                          std::string(config::name_of(cell.state)), shortened(cell.remark, 200),
                          cell.directory});
  }
  return table;
}

}  // namespace sluice::report
