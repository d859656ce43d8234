#include "report/analysis.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/text_format.h"
#include "stats/power.h"

namespace sluice::report {
namespace {

constexpr double kHundredth = 0.01;

std::vector<std::vector<const CellResult*>> grid_of(const Comparison& comparison) {
  std::map<std::pair<Settings, std::uint64_t>, const CellResult*> by_key;
  for (const CellResult& cell : comparison.cells) {
    invariant(by_key.emplace(std::pair(cell.settings, cell.seed), &cell).second,
              "a comparison has two cells for one variant and seed");
  }
  std::vector<std::vector<const CellResult*>> grid;
  std::size_t num_placed = 0;
  for (const Variant& variant : comparison.variants) {
    std::vector<const CellResult*>& row = grid.emplace_back();
    for (const std::uint64_t seed : comparison.seeds) {
      const auto found = by_key.find(std::pair(variant.settings, seed));
      row.push_back(found == by_key.end() ? nullptr : found->second);
      num_placed += found == by_key.end() ? 0 : 1;
    }
  }
  invariant(num_placed == comparison.cells.size(),
            "a comparison has a cell outside its variants and seeds");
  return grid;
}

// Consecutive groups of equal size; single seeds without compare.tune.repeat.
std::vector<std::vector<std::size_t>> columns_of(const Comparison& comparison) {
  const std::size_t num_seeds = comparison.seeds.size(), num_groups = comparison.seed_groups;
  std::size_t size = 1;
  if (num_groups > 1) size = std::max<std::size_t>(1, num_seeds / num_groups);
  invariant(num_groups <= 1 || size * num_groups == num_seeds,
            "seeds are divided into groups of equal size");
  std::vector<std::vector<std::size_t>> columns(num_seeds / size);
  for (std::size_t s = 0; s < num_seeds; ++s) columns[s / size].push_back(s);
  return columns;
}

// The mean of the column's cells, if all have finished.
void set_column(stats::Table& table, const Comparison& comparison, const Analysis& analysis,
                std::size_t v, std::size_t column) {
  double sum = 0;
  bool is_waiting = false;
  for (const std::size_t s : analysis.columns[column]) {
    const CellResult* cell = analysis.grid[v][s];
    if (cell == nullptr || cell->state == CellState::kWaiting) {
      is_waiting = true;
    } else if (const auto value = metric_value(comparison, *cell)) {
      sum += *value;
    } else {
      // A cell without a finite metric has diverged, whatever its status.
      return table.set_broken(v, column);
    }
  }
  if (!is_waiting) table.set(v, column, sum / static_cast<double>(analysis.columns[column].size()));
}

stats::Table table_of(const Comparison& comparison, const Analysis& analysis) {
  stats::Table table(analysis.grid.size(), analysis.columns.size());
  for (std::size_t v = 0; v < analysis.grid.size(); ++v)
    for (std::size_t c = 0; c < analysis.columns.size(); ++c)
      set_column(table, comparison, analysis, v, c);
  return table;
}

// Over the same blocks as the difference. In nats per target token; nullopt for other metrics, as
// their tokens may differ.
std::optional<stats::SampleError> sample_error(const Comparison& comparison,
                                               const Analysis& analysis, std::size_t variant) {
  if (comparison.metric != Metric::kLogPerplexity) return std::nullopt;
  const std::size_t baseline = analysis.summary.baseline;
  if (variant == baseline || !analysis.summary.variants[variant].difference) return std::nullopt;
  std::vector<stats::DocumentPair> pairs;
  for (const std::size_t s : analysis.compared_seeds()) {
    const CellResult *ours = analysis.grid[variant][s], *other = analysis.grid[baseline][s];
    if (ours->documents.empty() || other->documents.empty()) return std::nullopt;
    pairs.push_back({.variant = ours->documents, .baseline = other->documents});
  }
  return stats::held_out_error(pairs);
}

// Identifies the comparison, so that its sample of flips is fixed before the results.
std::uint64_t key_of(const Comparison& comparison) {
  Hasher hasher;
  hasher.update(comparison.data_fingerprint).update_number(comparison.baseline);
  for (const Variant& variant : comparison.variants)
    hasher.update(label_of(variant.settings)).update("\n");
  return hasher.digest().low;
}

stats::Plan plan_of(const Comparison& comparison, std::size_t num_columns) {
  stats::Plan plan{.looks = comparison.looks,
                   .spending = comparison.spending,
                   .margin = comparison.margin,
                   .key = key_of(comparison)};
  if (num_columns != comparison.seeds.size()) plan.unit = "group";
  for (std::int64_t& look : plan.looks)
    look = look * static_cast<std::int64_t>(num_columns) /
           static_cast<std::int64_t>(comparison.seeds.size());
  return plan;
}

void add_power(Analysis& analysis) {
  const stats::Summary& summary = analysis.summary;
  if (!summary.residual_std || *summary.residual_std <= 0 || summary.num_comparisons == 0) return;
  const stats::Design design = {.num_variants = static_cast<std::int64_t>(summary.num_analyzed),
                                .num_seeds = static_cast<std::int64_t>(summary.blocks.size()),
                                .std = *summary.residual_std,
                                .level = summary.test_level};
  analysis.detectable_difference = stats::detectable_difference(design);
  analysis.seeds_for_a_hundredth = stats::seeds_needed(design, kHundredth);
  if (analysis.seeds_for_a_hundredth)
    *analysis.seeds_for_a_hundredth *= static_cast<std::int64_t>(analysis.columns.front().size());
}

}  // namespace

bool Analysis::has_sample_errors() const {
  return std::any_of(sample_error.begin(), sample_error.end(),
                     [](const auto& error) { return error && error->std_error; });
}

std::vector<std::size_t> Analysis::compared_seeds() const {
  std::vector<std::size_t> seeds;
  for (const std::size_t column : summary.blocks)
    seeds.insert(seeds.end(), columns[column].begin(), columns[column].end());
  return seeds;
}

Analysis analyze(const Comparison& comparison) {
  invariant(comparison.baseline < comparison.variants.size(),
            "the baseline is not among the comparison's variants");
  Analysis analysis;
  for (const Variant& variant : comparison.variants)
    analysis.labels.push_back(label_of(variant.settings));
  analysis.grid = grid_of(comparison);
  analysis.columns = columns_of(comparison);
  analysis.summary = stats::summarize(table_of(comparison, analysis), comparison.baseline,
                                      plan_of(comparison, analysis.columns.size()));
  for (std::size_t v = 0; v < comparison.variants.size(); ++v)
    analysis.sample_error.push_back(sample_error(comparison, analysis, v));
  add_power(analysis);
  return analysis;
}

double flops_per_step(const Comparison& comparison, const Analysis& analysis, std::size_t variant) {
  for (const CellResult* cell : analysis.grid[variant]) {
    if (cell == nullptr || cell->state != CellState::kFinished || cell->steps <= 0) continue;
    return static_cast<double>(cell->tokens) / static_cast<double>(cell->steps) *
           comparison.variants[variant].sizes.flops_per_token;
  }
  return 0;
}

std::string status_of(const Comparison& comparison, const Analysis& analysis, std::size_t variant) {
  std::size_t num_diverged = 0, num_failed = 0, num_waiting = 0;
  for (const CellResult* cell : analysis.grid[variant]) {
    const CellState status = cell == nullptr ? CellState::kWaiting : cell->state;
    const bool no_value = status == CellState::kFinished && !metric_value(comparison, *cell);
    if (status == CellState::kDiverged || no_value) ++num_diverged;
    if (status == CellState::kFailed) ++num_failed;
    if (status == CellState::kWaiting) ++num_waiting;
  }
  const std::size_t num_seeds = analysis.grid[variant].size();
  std::string text;
  for (const auto& [count, word] :
       {std::pair(num_diverged, "diverged"), {num_failed, "failed"}, {num_waiting, "waiting"}}) {
    if (count == 0) continue;
    text += text.empty() ? cat(count, " of ", num_seeds, " ", word) : cat(", ", count, " ", word);
  }
  return text;
}

std::string_view no_verdict(const Analysis& analysis, std::size_t variant) {
  return analysis.summary.variants[variant].num_broken > 0 ? "no verdict" : "no verdict yet";
}

Verdict verdict_of(const Analysis& analysis, std::size_t variant) {
  const auto& difference = analysis.summary.variants[variant].difference;
  if (!analysis.is_tested() || !difference) return Verdict::kNone;
  switch (difference->conclusion) {
    case stats::Conclusion::kBetter:
      return Verdict::kLower;
    case stats::Conclusion::kWorse:
      return Verdict::kHigher;
    case stats::Conclusion::kEquivalent:
      return Verdict::kEquivalent;
    case stats::Conclusion::kUndecided:
      return Verdict::kNotSignificant;
    case stats::Conclusion::kNone:
      return Verdict::kNone;
  }
  return Verdict::kNone;
}

}  // namespace sluice::report
