#include "compare/session_stages.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "compare/step_times.h"
#include "compare/tuning.h"

namespace sluice::compare {
namespace {

void equalize_time(const Context& context, std::vector<PlannedVariant>& variants) {
  const Planner& planner = context.planner;
  std::vector<TimingTask> tasks;
  for (const PlannedVariant& variant : variants)
    tasks.push_back(
        planner.timing_task(variant, context.threads, context.options.directory / "measured"));
  const std::vector<double> seconds =
      step_times(tasks, planner.baseline(), context.options.directory);
  const auto baseline_steps = variants[planner.baseline()].facts.steps;
  invariant(baseline_steps.has_value(), "steps are known once the data is prepared");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    variants[i].steps =
        steps_in_equal_time(*baseline_steps, seconds[planner.baseline()], seconds[i]);
    log::info(cat(tasks[i].label, ": ", count_of(*variants[i].steps, "step"), " of ",
                  short_number(seconds[i]), " s"));
  }
}

std::vector<Cell> cells_of(const Grid& grid, const std::vector<ChoicePlace>& choices) {
  std::vector<Cell> cells;
  for (const ChoicePlace& place : choices) {
    const std::vector<Cell>& more = grid.tuning_cells.at(place);
    cells.insert(cells.end(), more.begin(), more.end());
  }
  return cells;
}

void decide(const Context& context, const Grid& grid, std::size_t variant, std::size_t group,
            Decision& decision) {
  const CompareConfig& config = context.options.config;
  const std::pair place(variant, group);
  Choice choice{.points = {}, .values = report::Settings{}, .undecided = ""};
  if (config.tune) choice = choose_values(grid.tuning_cells.at(place), *config.tune, group);
  decision.undecided[place] = std::move(choice.undecided);
  std::move(choice.points.begin(), choice.points.end(), std::back_inserter(decision.points));
  if (!choice.values || !decision.tuned.emplace(place, *choice.values).second) return;
  for (const std::uint64_t seed : config.seeds) {
    if (group_of(config, seed) != group) continue;
    decision.cells.emplace(
        std::pair(variant, seed),
        context.planner.cell(grid.variants[variant], *choice.values, seed, context.threads));
  }
}

}  // namespace

Grid make_grid(const Context& context) {
  Grid grid{.variants = context.planner.variants(context.threads), .tuning_cells = {}};
  if (context.options.config.equalize == Equalize::kTime) equalize_time(context, grid.variants);
  if (!context.options.config.tune) return grid;
  for (std::size_t i = 0; i < grid.variants.size(); ++i)
    for (std::size_t group = 0; group < num_groups(context.options.config); ++group)
      grid.tuning_cells[{i, group}] =
          context.planner.tuning_cells(grid.variants[i], group, context.threads);
  return grid;
}

std::vector<Cell> session_tuning_cells(const Context& context, const Grid& grid) {
  if (grid.tuning_cells.empty()) return {};
  const std::vector<Cell> needed = cells_of(grid, context.planner.choices());
  if (!context.options.part) return needed;
  const std::vector<Cell> all = cells_of(grid, context.planner.choices_of_all_parts());
  const auto own = slice_of<Cell>(all, *context.options.part);
  std::vector<Cell> cells(own.begin(), own.end());
  std::copy_if(needed.begin(), needed.end(), std::back_inserter(cells), [&](const Cell& cell) {
    return std::none_of(own.begin(), own.end(),
                        [&](const Cell& one) { return one.directory == cell.directory; });
  });
  return cells;
}

Decision decide(const Context& context, const Grid& grid, Decision decision) {
  decision.points.clear();
  for (std::size_t i = 0; i < grid.variants.size(); ++i)
    for (std::size_t group = 0; group < num_groups(context.options.config); ++group)
      decide(context, grid, i, group, decision);
  return decision;
}

std::vector<std::pair<std::size_t, std::string>> undecided(const Context& context,
                                                           const Decision& decision) {
  std::vector<std::pair<std::size_t, std::string>> reasons;
  for (const ChoicePlace& place : context.planner.choices()) {
    const std::string& reason = decision.undecided.at(place);
    if (!reason.empty()) reasons.emplace_back(place.first, reason);
  }
  return reasons;
}

}  // namespace sluice::compare
