#include "compare/session.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "compare/comparison_file.h"
#include "compare/plan_guard.h"
#include "compare/planner.h"
#include "compare/seed_consistency.h"
#include "compare/sharing.h"
#include "compare/step_times.h"
#include "compare/tuning.h"
#include "config/names.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// Creates and locks the comparison's directory. If the session fails before keep(), removes the
// directories and temporary files it has created, and nothing else.
class SessionDirectory {
 public:
  explicit SessionDirectory(const fs::path& directory)
      : directory_(directory), created_(missing_directories(directory)), lock_(open(directory)) {}
  ~SessionDirectory() {
    if (created_.empty()) return;
    std::error_code error;
    for (const char* file : {"lock", "jobs.json", "worker.txt"})
      fs::remove(directory_ / file, error);
    fs::remove_all(directory_ / "measured", error);
    for (const fs::path& path : created_) fs::remove(path, error);
  }
  SessionDirectory(const SessionDirectory&) = delete;
  SessionDirectory& operator=(const SessionDirectory&) = delete;
  void keep() { created_.clear(); }

 private:
  static std::vector<fs::path> missing_directories(const fs::path& directory) {
    std::vector<fs::path> missing;
    for (fs::path path = fs::absolute(directory).lexically_normal(); !fs::exists(path);
         path = path.parent_path())
      missing.push_back(path);
    return missing;
  }
  static store::RunLock open(const fs::path& directory) {
    real_files().create_directories(directory);
    return store::RunLock(directory);
  }

  fs::path directory_;
  std::vector<fs::path> created_;  // innermost first
  store::RunLock lock_;
};

// Commands of earlier sessions, if this comparison still has one of their variants.
std::vector<std::string> earlier_commands(const fs::path& directory,
                                          const std::vector<PlannedVariant>& variants) {
  if (!fs::exists(directory / "comparison.json")) return {};
  try {
    ComparisonFile file = read_comparison(directory);
    for (const PlannedVariant& variant : variants) {
      const auto& hashes = file.variant_hashes;
      if (std::find(hashes.begin(), hashes.end(), variant.hash) != hashes.end())
        return std::move(file.comparison.commands);
    }
  } catch (const UserError& error) {
    log::warn(cat(error.what(), "; rewriting it without the commands of earlier sessions"));
  }
  return {};
}

bool has_work(std::span<const Cell> cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const Cell& cell) { return !is_done(cell, record_of(cell)); });
}

void add(Tally& sum, const Tally& more) {
  sum.num_finished += more.num_finished;
  sum.num_diverged += more.num_diverged;
  sum.num_failed += more.num_failed;
  sum.num_waiting += more.num_waiting;
  sum.interrupted = sum.interrupted || more.interrupted;
  sum.num_saved += more.num_saved;
  sum.num_unsaved += more.num_unsaved;
  sum.num_not_started += more.num_not_started;
  if (sum.worst_code != static_cast<int>(ExitCode::kInternal) && more.worst_code != 0)
    sum.worst_code = more.worst_code;
}

// Shared by the stages of a session.
struct Context {
  const SessionOptions& options;
  const Planner& planner;
  int threads = 1;  // of each run
  RunnerOptions runner;
};

// First stage: variants and tuning cells.
struct Grid {
  std::vector<PlannedVariant> variants;
  // By variant and group of seeds (compare.tune.repeat); empty without tuning.
  std::map<std::pair<std::size_t, std::size_t>, std::vector<Cell>> tuning_cells;
};

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
  std::vector<Cell> cells;
  if (grid.tuning_cells.empty()) return cells;
  for (const std::size_t group : context.planner.groups()) {
    for (const std::size_t i : context.planner.chosen()) {
      const std::vector<Cell>& more = grid.tuning_cells.at({i, group});
      cells.insert(cells.end(), more.begin(), more.end());
    }
  }
  return cells;
}

// Second stage, before and after tuning: the values chosen for each variant and the resulting
// cells. Decisions are never revised.
struct Decision {
  // By variant and group of seeds, decided ones only; empty settings without tuning.
  std::map<std::pair<std::size_t, std::size_t>, report::Settings> tuned;
  // By variant and seed, decided ones only.
  std::map<std::pair<std::size_t, std::uint64_t>, Cell> cells;
  // By variant and group: why it is undecided; empty if decided.
  std::map<std::pair<std::size_t, std::size_t>, std::string> undecided;
  std::vector<report::TuningPoint> points;
  std::vector<std::string> plan_changes;  // plan_guard.h
};

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

Decision decide(const Context& context, const Grid& grid, Decision decision = {}) {
  decision.points.clear();
  for (std::size_t i = 0; i < grid.variants.size(); ++i)
    for (std::size_t group = 0; group < num_groups(context.options.config); ++group)
      decide(context, grid, i, group, decision);
  return decision;
}

// Why variants of this session are undecided, with their places.
std::vector<std::pair<std::size_t, std::string>> undecided(const Context& context,
                                                           const Decision& decision) {
  std::vector<std::pair<std::size_t, std::string>> reasons;
  for (const std::size_t i : context.planner.chosen()) {
    for (const std::size_t group : context.planner.groups()) {
      const std::string& reason = decision.undecided.at({i, group});
      if (!reason.empty()) reasons.emplace_back(i, reason);
    }
  }
  return reasons;
}

// Whether the tuning runs will decide further variants.
bool will_tune(const Context& context, const Decision& decision) {
  const auto reasons = undecided(context, decision);
  return std::any_of(reasons.begin(), reasons.end(),
                     [](const auto& one) { return one.second != kAllDiverged; });
}

// Checks this session's seeds for all decided variants.
void check_seeds(const Context& context, const Decision& decision, bool more_cells_follow) {
  const std::vector<std::uint64_t>& seeds = context.planner.seeds();
  std::vector<Cell> cells;
  for (const auto& [place, cell] : decision.cells)
    if (std::find(seeds.begin(), seeds.end(), place.second) != seeds.end()) cells.push_back(cell);
  require_consistent_seeds(cells, context.options.directory / "cells", more_cells_follow);
}

// ---- comparison.json ----

report::Variant variant_of(const PlannedVariant& planned, const report::Settings& tuned) {
  return {.settings = planned.settings, .sizes = planned.facts.sizes, .tuned = tuned};
}

void add_cells(report::Comparison& c, const Grid& grid, const Decision& decision) {
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    for (const std::uint64_t seed : c.seeds) {
      report::CellResult& cell = c.cells.emplace_back();
      cell.settings = grid.variants[i].settings;
      cell.seed = seed;
      const auto known = decision.cells.find(std::pair(i, seed));
      if (known == decision.cells.end()) continue;  // values not chosen yet
      cell.hash = known->second.hash;
      cell.directory = cat("cells/", known->second.name);
    }
  }
}

void write_file(const Context& context, const Grid& grid, const Decision& decision,
                const std::vector<std::string>& commands) {
  ComparisonFile file;
  report::Comparison& c = file.comparison;
  const RunFacts& facts = grid.variants.front().facts;
  static_cast<report::ComparisonInfo&>(c) =
      info_of(context.options.config, context.options.name, context.options.config_text);
  set_objective(c, facts.objective);
  c.baseline = context.planner.baseline();
  c.tuning = decision.points;
  c.commands = commands;
  c.plan_changes = decision.plan_changes;
  const auto is_shared = [&](std::string RunFacts::*fact) {
    return std::all_of(grid.variants.begin(), grid.variants.end(),
                       [&](const PlannedVariant& v) { return v.facts.*fact == facts.*fact; });
  };
  if (is_shared(&RunFacts::data_fingerprint)) c.data_fingerprint = facts.data_fingerprint;
  if (is_shared(&RunFacts::tokenizer_hash)) c.tokenizer_hash = facts.tokenizer_hash;
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    const auto tuned = decision.tuned.find({i, 0});
    const bool is_one_choice = c.seed_groups == 1 && tuned != decision.tuned.end();
    c.variants.push_back(
        variant_of(grid.variants[i], is_one_choice ? tuned->second : report::Settings{}));
    file.variant_hashes.push_back(grid.variants[i].hash);
    file.steps.push_back(grid.variants[i].steps);
  }
  add_cells(c, grid, decision);
  write_comparison(file, context.options.directory);
}

// Adds this session's command if it is new and the session has something to run. Returns whether it
// was added.
bool add_command(std::vector<std::string>& commands, const std::string& command,
                 std::span<const Cell> cells) {
  if (!has_work(cells) || std::find(commands.begin(), commands.end(), command) != commands.end())
    return false;
  commands.push_back(command);
  return true;
}

std::vector<std::string> plan_changes_of(const SessionOptions& options, const Grid& grid) {
  std::vector<std::string> hashes;
  for (const PlannedVariant& variant : grid.variants) hashes.push_back(variant.hash);
  std::vector<std::string> changes = check_plan(options.config, hashes, options.directory);
  for (const std::string& change : changes)
    log::warn(cat(options.directory.string(), ": ", change, "; its error rate no longer holds"));
  return changes;
}

// ---- third and fourth stage: runs ----

Tally tune(const Context& context, RunFactory& factory, std::span<const Cell> cells) {
  RunnerOptions runner = context.runner;
  runner.title = "tuning";
  Tally tally = run_cells(cells, factory, runner);
  tally.num_diverged = 0;  // expected during tuning: the candidate loses
  return tally;
}

void warn_of_undecided(const Context& context, const Grid& grid, const Decision& decision) {
  if (stop_requested()) return;
  for (const auto& [variant, reason] : undecided(context, decision))
    log::warn(cat(report::label_of(grid.variants[variant].settings), ": ", reason,
                  "; its runs are postponed"));
}

// This session's cells, seed by seed, and the number of undecided ones.
std::pair<std::vector<Cell>, std::size_t> cells_to_run(const Context& context,
                                                       const Decision& decision) {
  std::vector<Cell> cells;
  std::size_t num_waiting = 0;
  for (const std::uint64_t seed : context.planner.seeds()) {
    for (const std::size_t i : context.planner.chosen()) {
      const auto cell = decision.cells.find(std::pair(i, seed));
      if (cell == decision.cells.end()) {
        ++num_waiting;
      } else {
        cells.push_back(cell->second);
      }
    }
  }
  return {std::move(cells), num_waiting};
}

void log_other_cells(const fs::path& cells_directory, const Decision& decision) {
  std::set<std::string> names;
  for (const auto& [place, cell] : decision.cells) names.insert(cell.name);
  std::int64_t num_others = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(cells_directory, error))
    num_others += names.contains(entry.path().filename().string()) ? 0 : 1;
  if (num_others > 0)
    log::info(cat(count_of(num_others, "run"), " of another configuration or other data in ",
                  cells_directory.string(), ": not part of the report"));
}

}  // namespace

Tally run_session(const SessionOptions& options, RunFactory& factory) {
  const Planner planner(options, factory);
  planner.check();
  SessionDirectory directory(options.directory);
  planner.prepare();
  Sharing sharing(options, factory, planner.shared_gpu());
  const int jobs = sharing.jobs(planner, options.directory);
  const Context context{.options = options,
                        .planner = planner,
                        .threads = std::max(1, auto_threads() / jobs),
                        .runner = {.num_jobs = jobs,
                                   .log_interval_s = options.log_interval_s,
                                   .environment = sharing.environment(),
                                   .worker = sharing.worker()}};
  const Grid grid = make_grid(context);
  std::vector<std::string> commands = earlier_commands(options.directory, grid.variants);
  const std::vector<Cell> tuning = session_tuning_cells(context, grid);
  if (options.config.tune) require_consistent_seeds(tuning, options.directory / "tune");
  Decision decision = decide(context, grid);
  decision.plan_changes = plan_changes_of(options, grid);
  check_seeds(context, decision, /*more_cells_follow=*/will_tune(context, decision));
  directory.keep();

  Tally tally;
  add_command(commands, options.command, tuning);
  write_file(context, grid, decision, commands);
  if (options.config.tune) {
    tally = tune(context, factory, tuning);
    decision = decide(context, grid, std::move(decision));
    warn_of_undecided(context, grid, decision);
    write_file(context, grid, decision, commands);
    // Again, with the variants decided by tuning.
    if (!tally.interrupted) check_seeds(context, decision, /*more_cells_follow=*/false);
  }
  if (!tally.interrupted) {
    const auto [cells, num_waiting] = cells_to_run(context, decision);
    if (add_command(commands, options.command, cells))
      write_file(context, grid, decision, commands);
    tally.num_waiting += num_waiting;
    RunnerOptions runner = context.runner;
    runner.plan = plan_text(info_of(options.config), grid.variants[planner.baseline()].settings);
    add(tally, run_cells(cells, factory, runner));
  }
  log_other_cells(options.directory / "cells", decision);
  return tally;
}

}  // namespace sluice::compare
