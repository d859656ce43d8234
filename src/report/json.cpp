// results.json of report.h. Key names are promises.
#include <nlohmann/json.hpp>
#include <set>

#include "report/published.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

template <class T>
Json positive_or_null(T value) {
  return value > 0 ? Json(value) : Json();
}

Json settings_json(const Settings& settings) {
  Json json = Json::object();
  for (const auto& [key, value] : settings) json[key] = value;
  return json;
}

Json cell_json(const Cell& cell) {
  const bool finished = cell.status == CellStatus::kFinished;
  return {{"settings", settings_json(cell.settings)},
          {"seed", cell.seed},
          {"status", status_name(cell.status)},
          {"remark", or_null(cell.remark)},
          {"log_perplexity", finished ? or_null(cell.log_perplexity) : Json()},
          {"bits_per_byte", finished ? or_null(cell.bits_per_byte) : Json()},
          {"uniform_log_perplexity", finished ? or_null(cell.uniform_log_perplexity) : Json()},
          {"learned_nothing", finished ? or_null(cell.learned_nothing) : Json()},
          {"steps", positive_or_null(cell.steps)},
          {"tokens", positive_or_null(cell.tokens)},
          {"training_seconds", positive_or_null(cell.training_seconds)},
          {"hash", or_null(cell.hash)},
          {"build", or_null(cell.build)},
          {"libtorch", or_null(cell.libtorch)},
          {"cpu", or_null(cell.cpu)},
          {"device", or_null(cell.device)},
          {"precision", or_null(cell.precision)},
          {"threads", positive_or_null(cell.threads)},
          {"directory", or_null(cell.directory)}};
}

Json paper_json(const Published* paper) {
  if (paper == nullptr) return {};
  return {{"mean_65536", paper->mean}, {"std_65536", paper->std}, {"at_524288", paper->long_run}};
}

Json summary_json(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  const Variant& variant = comparison.variants[v];
  const stats::VariantSummary& figures = analysis.summary.variants[v];
  const stats::Difference none, &difference = figures.difference ? *figures.difference : none;
  const auto& interval = difference.interval;
  const auto& error = analysis.sample_error[v];
  return {{"settings", settings_json(variant.settings)},
          {"baseline", v == comparison.baseline},
          {"n", figures.num_finished},
          {"status", or_null(status_of(comparison, analysis, v))},
          {"compared", analysis.is_tested() && figures.analysed},
          {"pending_seeds", waiting_seeds(comparison, analysis, v)},
          {"seeds_without_learning", seeds_without_learning(comparison, analysis, v)},
          {"mean", or_null(figures.mean)},
          {"std", or_null(figures.std)},
          {"difference", figures.difference ? Json(difference.value) : Json()},
          {"difference_low", interval ? Json(interval->low) : Json()},
          {"difference_high", interval ? Json(interval->high) : Json()},
          {"p", or_null(difference.p)},
          {"p_holm", or_null(difference.p_holm)},
          {"paired_p", or_null(difference.paired_p)},
          {"paired_p_holm", or_null(difference.paired_p_holm)},
          {"letters", or_null(figures.letters)},
          {"held_out_error", error ? or_null(error->std_error) : Json()},
          {"effective_documents", error ? Json(error->effective_documents) : Json()},
          {"num_documents", error ? Json(error->num_documents) : Json()},
          {"num_parameters", positive_or_null(variant.num_parameters)},
          {"multiply_adds_per_token", positive_or_null(variant.multiply_adds_per_token)},
          {"flops_per_token", positive_or_null(variant.flops_per_token)},
          {"d_ff", positive_or_null(variant.d_ff)},
          {"d_ff_mismatch", variant.d_ff > 0 ? Json(variant.d_ff_mismatch) : Json()},
          {"tuned", settings_json(variant.tuned)},
          {"paper", paper_json(published_result(comparison, variant))}};
}

Json tuning_json(const TuningPoint& point) {
  return {{"settings", settings_json(point.settings)}, {"candidate", settings_json(point.candidate)},
          {"log_perplexity", point.log_perplexity},    {"remark", or_null(point.remark)},
          {"learned_nothing", point.learned_nothing},  {"chosen", point.chosen}};
}

// Whatever made the cells: more than one where seeds were trained in several sittings.
Json versions_json(const Comparison& comparison) {
  std::set<std::string> builds, libraries;
  for (const Cell& cell : comparison.cells) {
    if (!cell.build.empty()) builds.insert(cell.build);
    if (!cell.libtorch.empty()) libraries.insert(cell.libtorch);
  }
  return {{"format", kFormat}, {"sluice", comparison.version}, {"builds", builds}, {"libtorch", libraries}};
}

}  // namespace

std::string json_report(const Comparison& comparison, const Analysis& analysis) {
  Json cells = Json::array(), summary = Json::array(), tuning = Json::array(), compared = Json::array();
  for (const Cell& cell : comparison.cells) cells.push_back(cell_json(cell));
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) summary.push_back(summary_json(comparison, analysis, v));
  for (const TuningPoint& point : comparison.tuning) tuning.push_back(tuning_json(point));
  for (const std::size_t s : analysis.summary.blocks) compared.push_back(comparison.seeds[s]);
  const Json json = {{"name", comparison.name},
                     {"metric", comparison.metric},
                     {"objective", comparison.objective},
                     {"equalize", comparison.equalize},
                     {"baseline", settings_json(comparison.variants[comparison.baseline].settings)},
                     {"seeds", comparison.seeds},
                     {"seeds_compared", compared},
                     {"comparisons", analysis.summary.num_comparisons},
                     {"headline", headline(comparison, analysis)},
                     {"conditions", or_null(conditions(comparison, analysis))},
                     {"notes", notes(comparison, analysis)},
                     {"residual_std", or_null(analysis.summary.residual_std)},
                     {"detectable_difference", or_null(analysis.detectable_difference)},
                     {"seeds_for_0.01", or_null(analysis.seeds_for_a_hundredth)},
                     {"summary", summary},
                     {"cells", cells},
                     {"tuning", tuning},
                     {"tuning_note", or_null(comparison.tuning_note)},
                     {"config", comparison.config},
                     {"commands", comparison.commands},
                     {"data_fingerprint", or_null(comparison.data_fingerprint)},
                     {"tokenizer_hash", or_null(comparison.tokenizer_hash)},
                     {"versions", versions_json(comparison)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::report
