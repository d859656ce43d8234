#include "compare/tuning.h"

#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/runner.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

report::TuningPoint tuning_point(std::span<const Cell> cells_of_candidate,
                                 const TuneConfig& config) {
  report::TuningPoint point{.settings = cells_of_candidate.front().settings,
                            .candidate = cells_of_candidate.front().candidate};
  invariant(cells_of_candidate.size() == config.seeds.size(),
            "a candidate has one cell per tuning seed");
  std::size_t num_diverged = 0, num_open = 0;
  for (const Cell& cell : cells_of_candidate) {
    const CellRecord record = record_of(cell);
    if (is_finished(cell, record)) {
      const store::RunResult result = store::read_run_result(cell.run_dir() / "result.json");
      point.log_perplexity.push_back(result.figures.log_perplexity.value());
      point.learned_nothing =
          point.learned_nothing || store::learned_nothing(result).value_or(false);
    } else {
      ++(record.state == CellState::kDiverged ? num_diverged : num_open);
    }
  }
  if (num_diverged > 0) {
    point.diverged = true;
    point.remark = cat(num_diverged, " of ", config.seeds.size(), " diverged");
  } else if (num_open > 0) {
    point.remark = cat(num_open, " of ", config.seeds.size(), " failed or not finished");
  }
  return point;
}

// Marks the chosen point, or returns why there is none. A point with learned_nothing ranks below
// all others, whatever its mean.
std::string choose(std::span<report::TuningPoint> points_of_variant, const TuneConfig& config) {
  std::optional<std::pair<bool, double>> best;
  report::TuningPoint* chosen = nullptr;
  for (report::TuningPoint& point : points_of_variant) {
    if (point.diverged) continue;
    if (!point.remark.empty())
      return cat("tuning at ", report::label_of(point.candidate), ": ", point.remark);
    const double mean =
        std::accumulate(point.log_perplexity.begin(), point.log_perplexity.end(), 0.0) /
        static_cast<double>(config.seeds.size());
    const std::pair figure(point.learned_nothing, mean);
    if (best && figure >= *best) continue;
    best = figure;
    chosen = &point;
  }
  if (chosen == nullptr) return std::string(kAllDiverged);
  chosen->chosen = true;
  return "";
}

}  // namespace

Choice choose_values(std::span<const Cell> cells, const TuneConfig& config) {
  const std::size_t per_candidate = config.seeds.size();
  Choice choice;
  for (std::size_t i = 0; i < cells.size(); i += per_candidate)
    choice.points.push_back(tuning_point(cells.subspan(i, per_candidate), config));
  choice.undecided = choose(choice.points, config);
  for (const report::TuningPoint& point : choice.points) {
    if (point.chosen) choice.values = point.candidate;
  }
  return choice;
}

std::string tuning_note(const std::optional<TuneConfig>& config) {
  if (!config) return "";
  std::string values, seeds;
  for (const auto& [key, candidates] : config->grid.items) {
    std::string list;
    for (const config::Word& word : candidates) list += cat(list.empty() ? "" : ", ", word.text);
    values += cat(values.empty() ? "" : "; ", key, " from ", list);
  }
  for (const std::uint64_t seed : config->seeds) seeds += cat(seeds.empty() ? "" : ", ", seed);
  return cat("chosen separately for each variant (", values,
             ") by the lowest mean log-perplexity on a third split, over seed",
             config->seeds.size() == 1 ? " " : "s ", seeds,
             "; that split and these seeds are not used for any reported metric");
}

}  // namespace sluice::compare
