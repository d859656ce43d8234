#include "compare/tuning.h"

#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/plan_text.h"
#include "compare/runner.h"
#include "stats/moments.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

report::TuningPoint tuning_point(std::span<const Cell> cells_of_candidate, std::size_t group) {
  report::TuningPoint point{.settings = cells_of_candidate.front().settings,
                            .candidate = cells_of_candidate.front().candidate,
                            .group = group};
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
    point.remark = cat(num_diverged, " of ", cells_of_candidate.size(), " diverged");
  } else if (num_open > 0) {
    point.remark = cat(num_open, " of ", cells_of_candidate.size(), " failed or not finished");
  }
  return point;
}

// Marks the chosen point, or returns why there is none. A point with learned_nothing ranks below
// all others, whatever its mean.
std::string choose(std::span<report::TuningPoint> points_of_variant) {
  std::optional<std::pair<bool, double>> best;
  report::TuningPoint* chosen = nullptr;
  for (report::TuningPoint& point : points_of_variant) {
    if (point.diverged) continue;
    if (!point.remark.empty())
      return cat("tuning at ", report::label_of(point.candidate), ": ", point.remark);
    const auto figure = rank_of(point);
    if (best && figure >= *best) continue;
    best = figure;
    chosen = &point;
  }
  if (chosen == nullptr) return std::string(kAllDiverged);
  chosen->chosen = true;
  return "";
}

// "optimizer.lr from 1e-3, 3e-3"
std::string grid_text(const TuneConfig& config, std::string_view separator) {
  std::string text;
  for (const auto& [key, candidates] : config.grid.items) {
    std::string list;
    for (const config::Word& word : candidates) list += cat(list.empty() ? "" : ", ", word.text);
    text += cat(text.empty() ? "" : separator, key, " from ", list);
  }
  return text;
}

}  // namespace

std::pair<bool, double> rank_of(const report::TuningPoint& point) {
  return {point.learned_nothing, stats::mean_of(point.log_perplexity)};
}

Choice choose_values(std::span<const Cell> cells, const TuneConfig& config, std::size_t group) {
  const std::size_t per_candidate = tuning_seeds(config, group).size();
  invariant(per_candidate > 0 && cells.size() % per_candidate == 0,
            "a candidate has one cell per tuning seed");
  Choice choice;
  for (std::size_t i = 0; i < cells.size(); i += per_candidate)
    choice.points.push_back(tuning_point(cells.subspan(i, per_candidate), group));
  choice.undecided = choose(choice.points);
  for (const report::TuningPoint& point : choice.points) {
    if (point.chosen) choice.values = point.candidate;
  }
  return choice;
}

std::string tuning_plan(const std::optional<TuneConfig>& config) {
  return config ? cat(grid_text(*config, " and "), " over seeds ", in_brackets(config->seeds)) : "";
}

std::string tuning_note(const std::optional<TuneConfig>& config) {
  if (!config) return "";
  std::string seeds;
  for (const std::uint64_t seed : config->seeds) seeds += cat(seeds.empty() ? "" : ", ", seed);
  return cat("chosen separately for each variant",
             config->repeat == 1 ? "" : cat(" and each of ", config->repeat, " groups of seeds"),
             " (", grid_text(*config, "; "),
             ") by the lowest mean log-perplexity on a third split, over seed",
             config->seeds.size() == 1 ? " " : "s ", seeds,
             "; that split and these seeds are not used for any reported metric");
}

}  // namespace sluice::compare
