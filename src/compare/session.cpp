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
#include "compare/planner.h"
#include "compare/seed_consistency.h"
#include "compare/step_times.h"
#include "compare/tuning.h"
#include "config/names.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// The comparison's directory, made where it is missing, and locked. One that was made here goes again where the session is refused before it keeps
// anything; what somebody else put there stays.
class Place {
 public:
  explicit Place(const fs::path& directory) : directory_(directory), made_(missing_of(directory)), lock_(open(directory)) {}
  ~Place() {
    if (made_.empty()) return;
    std::error_code error;
    for (const char* file : {"lock", "jobs.json"}) fs::remove(directory_ / file, error);
    fs::remove_all(directory_ / "measured", error);
    for (const fs::path& path : made_) fs::remove(path, error);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  void keep() { made_.clear(); }

 private:
  static std::vector<fs::path> missing_of(const fs::path& directory) {
    std::vector<fs::path> missing;
    for (fs::path path = fs::absolute(directory).lexically_normal(); !fs::exists(path); path = path.parent_path()) missing.push_back(path);
    return missing;
  }
  static store::RunLock open(const fs::path& directory) {
    real_files().create_directories(directory);
    return store::RunLock(directory);
  }

  fs::path directory_;
  std::vector<fs::path> made_;  // innermost first
  store::RunLock lock_;
};

// Of the sessions before, as far as they made what this one goes on with.
std::vector<std::string> earlier_commands(const fs::path& directory, const std::vector<PlannedVariant>& variants) {
  if (!fs::exists(directory / "comparison.json")) return {};
  try {
    ComparisonFile file = read_comparison(directory);
    for (const PlannedVariant& variant : variants) {
      const auto& hashes = file.variant_hashes;
      if (std::find(hashes.begin(), hashes.end(), variant.hash) != hashes.end()) return std::move(file.comparison.commands);
    }
  } catch (const UserError& error) {
    log::warn(cat(error.what(), "; rewriting it without the commands of earlier sessions"));
  }
  return {};
}

bool has_work(std::span<const Cell> cells) {
  return std::any_of(cells.begin(), cells.end(), [](const Cell& cell) { return !is_settled(cell, record_of(cell)); });
}

void add(Tally& sum, const Tally& more) {
  sum.num_finished += more.num_finished;
  sum.num_diverged += more.num_diverged;
  sum.num_failed += more.num_failed;
  sum.num_waiting += more.num_waiting;
  sum.interrupted = sum.interrupted || more.interrupted;
  sum.num_saved += more.num_saved;
  sum.num_unsaved += more.num_unsaved;
  sum.num_unbegun += more.num_unbegun;
  if (sum.worst_code != static_cast<int>(ExitCode::kInternal) && more.worst_code != 0) sum.worst_code = more.worst_code;
}

// What the stages of a session share.
struct Context {
  const SessionOptions& options;
  const Planner& planner;
  int threads = 1;  // of each run
  RunnerOptions runner;
};

// First stage: what there is to compare.
struct Grid {
  std::vector<PlannedVariant> variants;
  std::vector<std::vector<Cell>> tuning_cells;  // by variant; empty without tuning
};

void equalize_time(const Context& context, std::vector<PlannedVariant>& variants) {
  const Planner& planner = context.planner;
  std::vector<Timed> timed;
  for (const PlannedVariant& variant : variants)
    timed.push_back(planner.timed(variant, context.threads, context.options.directory / "measured"));
  const std::vector<double> seconds = step_times(timed, planner.baseline(), context.options.directory);
  const auto baseline_steps = variants[planner.baseline()].facts.steps;
  invariant(baseline_steps.has_value(), "steps are known once the data is prepared");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    variants[i].steps = steps_in_equal_time(*baseline_steps, seconds[planner.baseline()], seconds[i]);
    log::info(cat(timed[i].label, ": ", count_of(*variants[i].steps, "step"), " of ", short_number(seconds[i]), " s"));
  }
}

Grid make_grid(const Context& context) {
  Grid grid{.variants = context.planner.variants(context.threads), .tuning_cells = {}};
  if (context.options.config.equalize == Equalize::kTime) equalize_time(context, grid.variants);
  if (!context.options.config.tune) return grid;
  for (const PlannedVariant& variant : grid.variants) grid.tuning_cells.push_back(context.planner.tuning_cells(variant, context.threads));
  return grid;
}

// The tuning runs of this session's variants.
std::vector<Cell> our_tuning(const Context& context, const Grid& grid) {
  std::vector<Cell> ours;
  if (grid.tuning_cells.empty()) return ours;
  for (const std::size_t i : context.planner.chosen()) ours.insert(ours.end(), grid.tuning_cells[i].begin(), grid.tuning_cells[i].end());
  return ours;
}

// Second stage, before and after tuning: every variant's values as far as its tuning runs say some, and the cells that follow. What is decided
// stays.
struct Decision {
  std::map<std::size_t, report::Settings> tuned;                // by variant, where it is known; empty settings without tuning
  std::map<std::pair<std::size_t, std::uint64_t>, Cell> cells;  // by variant and seed, where `tuned` is known
  std::vector<std::string> undecided;                           // by variant: why `tuned` is not known
  std::vector<report::TuningPoint> points;
};

Decision decide(const Context& context, const Grid& grid, Decision decision = {}) {
  decision.undecided.assign(grid.variants.size(), "");
  decision.points.clear();
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    Choice choice{.points = {}, .values = report::Settings{}, .undecided = ""};
    if (context.options.config.tune) choice = choice_of(grid.tuning_cells[i], *context.options.config.tune);
    decision.undecided[i] = std::move(choice.undecided);
    std::move(choice.points.begin(), choice.points.end(), std::back_inserter(decision.points));
    if (!choice.values || !decision.tuned.emplace(i, *choice.values).second) continue;
    for (const std::uint64_t seed : context.options.config.seeds)
      decision.cells.emplace(std::pair(i, seed), context.planner.cell(grid.variants[i], *choice.values, seed, context.threads));
  }
  return decision;
}

// Whether tuning will decide more.
bool will_tune(const Context& context, const Decision& decision) {
  const auto is_open = [&](std::size_t i) { return !decision.undecided[i].empty() && decision.undecided[i] != kAllDiverged; };
  return std::any_of(context.planner.chosen().begin(), context.planner.chosen().end(), is_open);
}

// Looks at this session's seeds of every variant whose values are known.
void refuse_mixed(const Context& context, const Decision& decision, bool more_to_come) {
  const std::vector<std::uint64_t>& seeds = context.planner.seeds();
  std::vector<Cell> cells;
  for (const auto& [place, cell] : decision.cells)
    if (std::find(seeds.begin(), seeds.end(), place.second) != seeds.end()) cells.push_back(cell);
  refuse_mixed_seeds(cells, context.options.directory / "cells", more_to_come);
}

// ---- comparison.json ----

report::Variant variant_of(const PlannedVariant& planned, const report::Settings& tuned) {
  const RunFacts& f = planned.facts;
  return {.settings = planned.settings,
          .num_parameters = f.num_parameters,
          .d_ff = f.d_ff,
          .d_ff_mismatch = f.d_ff_mismatch,
          .multiply_adds_per_token = f.multiply_adds_per_token,
          .flops_per_token = f.flops_per_token,
          .tuned = tuned};
}

void add_cells(report::Comparison& c, const Grid& grid, const Decision& decision) {
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    for (const std::uint64_t seed : c.seeds) {
      report::Cell& cell = c.cells.emplace_back();
      cell.settings = grid.variants[i].settings;
      cell.seed = seed;
      const auto known = decision.cells.find(std::pair(i, seed));
      if (known == decision.cells.end()) continue;  // its values are not chosen yet
      cell.hash = known->second.hash;
      cell.directory = cat("cells/", known->second.name);
    }
  }
}

void write_file(const Context& context, const Grid& grid, const Decision& decision, const std::vector<std::string>& commands) {
  const CompareConfig& config = context.options.config;
  ComparisonFile file;
  report::Comparison& c = file.comparison;
  const RunFacts& facts = grid.variants.front().facts;
  c.name = context.options.name;
  c.metric = config::name_of(config.metric);
  c.equalize = config::name_of(config.equalize);
  describe_objective(c, facts.objective);
  c.seeds = config.seeds;
  c.baseline = context.planner.baseline();
  c.tuning = decision.points;
  c.tuning_note = tuning_note(config.tune);
  c.config = context.options.config_text;
  c.commands = commands;
  const auto is_shared = [&](std::string RunFacts::*fact) {
    return std::all_of(grid.variants.begin(), grid.variants.end(), [&](const PlannedVariant& v) { return v.facts.*fact == facts.*fact; });
  };
  if (is_shared(&RunFacts::data_fingerprint)) c.data_fingerprint = facts.data_fingerprint;
  if (is_shared(&RunFacts::tokenizer_hash)) c.tokenizer_hash = facts.tokenizer_hash;
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    const auto tuned = decision.tuned.find(i);
    c.variants.push_back(variant_of(grid.variants[i], tuned == decision.tuned.end() ? report::Settings{} : tuned->second));
    file.variant_hashes.push_back(grid.variants[i].hash);
    file.steps.push_back(grid.variants[i].steps);
  }
  add_cells(c, grid, decision);
  write_comparison(file, context.options.directory);
}

// Adds this session's command, unless it is there or runs nothing: a session that finds everything done has no part in the result. Whether it
// was added.
bool add_command(std::vector<std::string>& commands, const std::string& command, std::span<const Cell> cells) {
  if (!has_work(cells) || std::find(commands.begin(), commands.end(), command) != commands.end()) return false;
  commands.push_back(command);
  return true;
}

// ---- third and fourth stage: runs ----

Tally tune(const Context& context, RunFactory& factory, std::span<const Cell> cells) {
  RunnerOptions runner = context.runner;
  runner.title = "tuning";
  Tally tally = run_cells(cells, factory, runner);
  tally.num_diverged = 0;  // such a candidate has lost, which is what tuning is for
  return tally;
}

void warn_of_undecided(const Context& context, const Grid& grid, const Decision& decision) {
  if (stop_requested()) return;
  for (const std::size_t i : context.planner.chosen())
    if (!decision.undecided[i].empty())
      log::warn(cat(report::label_of(grid.variants[i].settings), ": ", decision.undecided[i], "; its runs wait"));
}

// This session's cells, seed by seed, and how many are not decided.
std::pair<std::vector<Cell>, std::size_t> cells_to_run(const Context& context, const Decision& decision) {
  std::vector<Cell> ours;
  std::size_t num_waiting = 0;
  for (const std::uint64_t seed : context.planner.seeds()) {
    for (const std::size_t i : context.planner.chosen()) {
      const auto cell = decision.cells.find(std::pair(i, seed));
      if (cell == decision.cells.end()) {
        ++num_waiting;
      } else {
        ours.push_back(cell->second);
      }
    }
  }
  return {std::move(ours), num_waiting};
}

void tell_of_others(const fs::path& cells_directory, const Decision& decision) {
  std::set<std::string> names;
  for (const auto& [place, cell] : decision.cells) names.insert(cell.name);
  std::int64_t num_others = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(cells_directory, error))
    num_others += names.contains(entry.path().filename().string()) ? 0 : 1;
  if (num_others > 0)
    log::info(cat(count_of(num_others, "run"), " in ", cells_directory.string(),
                  " belong to another configuration or other data; kept, and left out of the report"));
}

}  // namespace

Tally run_session(const SessionOptions& options, RunFactory& factory) {
  const Planner planner(options, factory);
  planner.check();
  Place place(options.directory);
  planner.prepare();
  const int jobs = planner.jobs(options.directory);
  const Context context{.options = options,
                        .planner = planner,
                        .threads = std::max(1, auto_threads() / jobs),
                        .runner = {.num_jobs = jobs, .log_interval_s = options.log_interval_s}};
  const Grid grid = make_grid(context);
  std::vector<std::string> commands = earlier_commands(options.directory, grid.variants);
  const std::vector<Cell> tuning = our_tuning(context, grid);
  if (options.config.tune) refuse_mixed_seeds(tuning, options.directory / "tune");
  Decision decision = decide(context, grid);
  refuse_mixed(context, decision, /*more_to_come=*/will_tune(context, decision));
  place.keep();

  Tally tally;
  add_command(commands, options.command, tuning);
  write_file(context, grid, decision, commands);
  if (options.config.tune) {
    tally = tune(context, factory, tuning);
    decision = decide(context, grid, std::move(decision));
    warn_of_undecided(context, grid, decision);
    write_file(context, grid, decision, commands);
    if (!tally.interrupted) refuse_mixed(context, decision, /*more_to_come=*/false);  // with the variants decided now
  }
  if (!tally.interrupted) {
    const auto [cells, num_waiting] = cells_to_run(context, decision);
    if (add_command(commands, options.command, cells)) write_file(context, grid, decision, commands);
    tally.num_waiting += num_waiting;
    add(tally, run_cells(cells, factory, context.runner));
  }
  tell_of_others(options.directory / "cells", decision);
  return tally;
}

}  // namespace sluice::compare
