// Writes results.json (report.h).
#include <cmath>
#include <set>

#include "config/names.h"
#include "report/outcome.h"
#include "report/published.h"
#include "report/report.h"
#include "report/results_record.h"
#include "report/tables.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

std::optional<std::string> if_any(std::string text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

template <class T>
std::optional<T> if_positive(T value) {
  return value > 0 ? std::optional(value) : std::nullopt;
}

std::optional<double> if_finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

ResultsRecord::CellRecord record_of(const CellResult& cell) {
  ResultsRecord::CellRecord record{.settings = cell.settings,
                                   .seed = cell.seed,
                                   .status = cell.state,
                                   .remark = if_any(cell.remark),
                                   .steps = if_positive(cell.steps),
                                   .tokens = if_positive(cell.tokens),
                                   .training_seconds = if_positive(cell.training_seconds),
                                   .hash = if_any(cell.hash),
                                   .build = if_any(cell.build),
                                   .libtorch = if_any(cell.libtorch),
                                   .cpu = if_any(cell.env.cpu),
                                   .device = if_any(cell.env.device),
                                   .precision = if_any(cell.env.precision),
                                   .threads = if_positive(cell.env.threads),
                                   .directory = if_any(cell.directory)};
  if (cell.state != CellState::kFinished) return record;
  record.log_perplexity = cell.log_perplexity;
  record.bits_per_byte = cell.bits_per_byte;
  record.uniform_log_perplexity = cell.uniform_log_perplexity;
  record.learned_nothing = cell.learned_nothing;
  return record;
}

ResultsRecord::VariantSummary summary_of(const Comparison& comparison, const Analysis& analysis,
                                         std::size_t v) {
  const Variant& variant = comparison.variants[v];
  const stats::VariantSummary& summary = analysis.summary.variants[v];
  ResultsRecord::VariantSummary record{
      .settings = variant.settings,
      .baseline = v == comparison.baseline,
      .n = summary.num_finished,
      .status = if_any(status_of(comparison, analysis, v)),
      .compared = analysis.is_tested() && summary.analyzed,
      .pending_seeds = waiting_seeds(comparison, analysis, v),
      .seeds_without_learning = seeds_without_learning(comparison, analysis, v),
      .mean = summary.mean,
      .std = summary.std,
      .letters = if_any(summary.letters),
      .num_parameters = if_positive(variant.sizes.num_parameters),
      .multiply_adds_per_token = if_positive(variant.sizes.multiply_adds_per_token),
      .flops_per_token = if_positive(variant.sizes.flops_per_token),
      .d_ff = if_positive(variant.sizes.d_ff),
      .tuned = variant.tuned};
  if (const auto& difference = summary.difference) {
    record.difference = difference->value;
    record.sign_flip_p = difference->flip_p;
    record.seeds_to_decide = seeds_to_decide(analysis, *difference);
    if (difference->found_at_look)
      record.found_at_seeds = comparison.looks.empty()
                                  ? static_cast<std::int64_t>(analysis.compared_seeds().size())
                                  : comparison.looks.at(*difference->found_at_look);
    if (difference->better_rate) {
      record.seeds_better = difference->num_better;
      record.better_rate_low = difference->better_rate->low;
      record.better_rate_high = difference->better_rate->high;
    }
    record.p = difference->p;
    record.p_holm = difference->p_holm;
    record.paired_p = difference->paired_p;
    record.paired_p_holm = difference->paired_p_holm;
    if (difference->interval) {
      record.difference_low = if_finite(difference->interval->low);
      record.difference_high = if_finite(difference->interval->high);
    }
  }
  if (const auto& error = analysis.sample_error[v]) {
    record.held_out_error = error->std_error;
    record.effective_documents = error->effective_documents;
    record.num_documents = error->num_documents;
  }
  if (variant.sizes.d_ff > 0) record.d_ff_mismatch = variant.sizes.d_ff_mismatch;
  if (const Published* paper = published_result(comparison, variant))
    record.paper = PaperRecord{paper->mean, paper->std, paper->long_run};
  return record;
}

// Builds that produced the cells; several if seeds were trained in different sessions.
ResultsRecord::Versions versions_of(const Comparison& comparison) {
  std::set<std::string> builds, libraries;
  for (const CellResult& cell : comparison.cells) {
    if (!cell.build.empty()) builds.insert(cell.build);
    if (!cell.libtorch.empty()) libraries.insert(cell.libtorch);
  }
  return {.sluice = comparison.version,
          .builds = {builds.begin(), builds.end()},
          .libtorch = {libraries.begin(), libraries.end()}};
}

}  // namespace

std::string json_report(const Comparison& comparison, const Analysis& analysis) {
  const std::vector<VariantOutcome> all = outcomes(comparison, analysis);
  ResultsRecord record{.name = comparison.name,
                       .metric = comparison.metric,
                       .average_last = comparison.average_last,
                       .objective = comparison.objective,
                       .equalize = comparison.equalize,
                       .baseline = comparison.variants[comparison.baseline].settings,
                       .seeds = comparison.seeds,
                       .seed_groups = comparison.seed_groups,
                       .comparisons = analysis.summary.num_comparisons,
                       .headline = headline(comparison, analysis),
                       .conditions = if_any(conditions(comparison, analysis)),
                       .notes = notes(comparison, analysis),
                       .residual_std = analysis.summary.residual_std,
                       .detectable_difference = analysis.detectable_difference,
                       .seeds_for_a_hundredth = analysis.seeds_for_a_hundredth,
                       .outcome = overall(all),
                       .margin = comparison.margin,
                       .looks = comparison.looks,
                       .plan_changes = comparison.plan_changes,
                       .tuning_note = if_any(comparison.tuning_note),
                       .config = comparison.config,
                       .commands = comparison.commands,
                       .data_fingerprint = if_any(comparison.data_fingerprint),
                       .tokenizer_hash = if_any(comparison.tokenizer_hash),
                       .seal = if_any(comparison.seal),
                       .unsealed_cells = comparison.num_unsealed,
                       .versions = versions_of(comparison)};
  for (const std::size_t s : analysis.compared_seeds())
    record.seeds_compared.push_back(comparison.seeds[s]);
  for (std::size_t v = 0; v < comparison.variants.size(); ++v)
    record.summary.push_back(summary_of(comparison, analysis, v));
  for (const VariantOutcome& one : all) {
    record.summary[one.variant].verdict = one.outcome;
    record.summary[one.variant].grid_doubts = one.grid_doubts;
  }
  if (analysis.is_tested()) {
    record.test_level = analysis.summary.test_level;
    record.smallest_p = analysis.summary.smallest_p;
  }
  if (!comparison.looks.empty())
    record.spending = std::string(config::name_of(comparison.spending));
  for (const CellResult& cell : comparison.cells) record.cells.push_back(record_of(cell));
  for (const TuningPoint& point : comparison.tuning)
    record.tuning.push_back({point.settings, point.candidate, point.group, point.log_perplexity,
                             if_any(point.remark), point.learned_nothing, point.chosen});
  return config::to_json(record);
}

}  // namespace sluice::report
