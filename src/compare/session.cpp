#include "compare/session.h"

#include <algorithm>
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
#include "compare/grid.h"
#include "compare/part.h"
#include "compare/plan_guard.h"
#include "compare/plan_text.h"
#include "compare/seed_consistency.h"
#include "compare/session_stages.h"
#include "compare/sharing.h"
#include "compare/tuning.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// Creates and locks the comparison's directory. If the session fails before keep(), removes the
// directories and temporary files it has created, and nothing else. A part removes nothing, because
// other parts may use them already.
class SessionDirectory {
 public:
  SessionDirectory(const fs::path& directory, bool is_part)
      : directory_(directory),
        created_(is_part ? std::vector<fs::path>{} : missing_directories(directory)),
        lock_(open(directory, is_part)) {}
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
  static store::RunLock open(const fs::path& directory, bool is_part) {
    using Mode = store::RunLock::Mode;
    real_files().create_directories(directory);
    return store::RunLock(directory, is_part ? Mode::kShared : Mode::kExclusive);
  }

  fs::path directory_;
  std::vector<fs::path> created_;  // innermost first
  store::RunLock lock_;
};

void add(Tally& sum, const Tally& more) {
  sum.num_finished += more.num_finished;
  sum.num_diverged += more.num_diverged;
  sum.num_failed += more.num_failed;
  sum.num_waiting += more.num_waiting;
  sum.interrupted = sum.interrupted || more.interrupted;
  sum.num_saved += more.num_saved;
  sum.num_unsaved += more.num_unsaved;
  sum.num_not_started += more.num_not_started;
  if (sum.conflict.empty()) sum.conflict = more.conflict;
  if (sum.worst_code != static_cast<int>(ExitCode::kInternal) && more.worst_code != 0)
    sum.worst_code = more.worst_code;
}

// Whether the tuning runs will decide further variants.
bool will_tune(const Context& context, const Decision& decision) {
  const auto reasons = undecided(context, decision);
  return std::any_of(reasons.begin(), reasons.end(),
                     [](const auto& one) { return one.second != kAllDiverged; });
}

// Checks this session's seeds for all decided variants; those of a part only if it has work there.
void check_seeds(const Context& context, const Decision& decision, bool more_cells_follow) {
  const std::vector<std::uint64_t>& all = context.planner.seeds();
  std::set<std::uint64_t> seeds(all.begin(), all.end());
  if (context.options.part) {
    seeds.clear();
    for (const Place& place : context.planner.places()) {
      const auto cell = decision.cells.find(place);
      if (cell == decision.cells.end() || !is_done(cell->second, record_of(cell->second)))
        seeds.insert(place.second);
    }
  }
  std::vector<Cell> cells;
  for (const auto& [place, cell] : decision.cells)
    if (seeds.contains(place.second)) cells.push_back(cell);
  require_consistent_seeds(cells, context.options.directory / "cells", more_cells_follow);
}

std::vector<std::string> plan_changes_of(const SessionOptions& options, const Grid& grid) {
  std::vector<std::string> hashes;
  for (const PlannedVariant& variant : grid.variants) hashes.push_back(variant.hash);
  return check_plan(options.config, hashes, options.directory);
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

// This session's cells and the number of undecided ones.
std::pair<std::vector<Cell>, std::size_t> cells_to_run(const Context& context,
                                                       const Decision& decision) {
  std::vector<Cell> cells;
  std::size_t num_waiting = 0;
  for (const Place& place : context.planner.places()) {
    const auto cell = decision.cells.find(place);
    if (cell == decision.cells.end()) {
      ++num_waiting;
    } else {
      cells.push_back(cell->second);
    }
  }
  return {std::move(cells), num_waiting};
}

// For SharedRuns::conflict: all cells of the seed that are known now, in whichever session.
std::vector<Cell> block_of(const Context& context, const Grid& grid, const Decision& decision,
                           const Cell& cell) {
  std::vector<Cell> block;
  if (!cell.candidate.empty()) {
    for (const auto& [place, cells] : grid.tuning_cells)
      std::copy_if(cells.begin(), cells.end(), std::back_inserter(block),
                   [&](const Cell& one) { return one.seed == cell.seed; });
    return block;
  }
  const bool is_tuned = context.options.config.tune.has_value();
  for (const auto& [place, one] : (is_tuned ? decide(context, grid, decision) : decision).cells)
    if (place.second == cell.seed) block.push_back(one);
  return block;
}

// Writes comparison.json. Other parts write it, too: what they have added since is kept.
void write_state(const Context& context, const Grid& grid, const Decision& decision,
                 std::vector<std::string>& commands) {
  const fs::path& directory = context.options.directory;
  if (!context.options.part) return write_file(context, grid, decision, commands);
  const store::RunLock lock = lock_files(directory);
  std::vector<std::string> all = earlier_commands(directory, grid.variants);
  for (std::string& command : commands) add_once(all, std::move(command));
  commands = std::move(all);
  write_file(context, grid, decide(context, grid, decision), commands);
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

// What is known before the first run.
struct Start {
  Context context;
  Grid grid;
  std::vector<std::string> commands;
  std::vector<Cell> tuning;
  Decision decision;
};

// Measures, and refuses a session that would violate a rule of the comparison.
Start start_session(const SessionOptions& options, const Planner& planner, Sharing& sharing) {
  std::optional<store::RunLock> lock;
  if (options.part) {
    log::info(cat("part ", options.part->number, " of ", options.part->count, ": ",
                  planner.places().size(), " of ", planner.num_of_all_parts(), " runs"));
    lock = lock_files(options.directory);
  }
  const int jobs = sharing.jobs(planner, options.directory);
  Start start{.context = {.options = options,
                          .planner = planner,
                          .threads = std::max(1, auto_threads() / jobs),
                          .runner = {.num_jobs = jobs,
                                     .log_interval_s = options.log_interval_s,
                                     .environment = sharing.environment(),
                                     .worker = sharing.worker()}}};
  const Context& context = start.context;
  start.grid = make_grid(context);
  start.commands = earlier_commands(options.directory, start.grid.variants);
  start.tuning = session_tuning_cells(context, start.grid);
  if (options.config.tune) require_consistent_seeds(start.tuning, options.directory / "tune");
  start.decision = decide(context, start.grid);
  start.decision.plan_changes = plan_changes_of(options, start.grid);
  check_seeds(context, start.decision, /*more_cells_follow=*/will_tune(context, start.decision));
  return start;
}

}  // namespace

Tally run_session(const SessionOptions& options, RunFactory& factory) {
  const Planner planner(options, factory);
  planner.check();
  SessionDirectory directory(options.directory, options.part.has_value());
  planner.prepare();
  Sharing sharing(options, factory, planner.shared_gpu());
  auto [context, grid, commands, tuning, decision] = start_session(options, planner, sharing);
  directory.keep();
  if (options.part) {
    const auto conflict = [&, &context = context, &grid = grid,
                           &decision = decision](const Cell& cell) {
      return environment_conflict(cell, block_of(context, grid, decision, cell));
    };
    context.runner.shared = SharedRuns{.directory = options.directory, .conflict = conflict};
  }

  Tally tally;
  add_command(commands, options.command, tuning);
  write_state(context, grid, decision, commands);
  if (options.config.tune) {
    tally = tune(context, factory, tuning);
    decision = decide(context, grid, std::move(decision));
    warn_of_undecided(context, grid, decision);
    write_state(context, grid, decision, commands);
    // Again, with the variants decided by tuning.
    if (!tally.interrupted) check_seeds(context, decision, /*more_cells_follow=*/false);
  }
  if (!tally.interrupted) {
    const auto [cells, num_waiting] = cells_to_run(context, decision);
    if (add_command(commands, options.command, cells))
      write_state(context, grid, decision, commands);
    tally.num_waiting += num_waiting;
    RunnerOptions runner = context.runner;
    runner.plan =
        plan_text(info_of(options.config), expand(options.config.vary), planner.baseline());
    add(tally, run_cells(cells, factory, runner));
  }
  if (options.part) decision = decide(context, grid, std::move(decision));  // by other parts
  log_other_cells(options.directory / "cells", decision);
  return tally;
}

}  // namespace sluice::compare
