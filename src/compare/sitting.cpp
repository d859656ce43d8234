#include "compare/sitting.h"

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
#include "compare/mixing.h"
#include "compare/planner.h"
#include "compare/step_times.h"
#include "compare/tuning.h"
#include "config/names.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// The comparison's directory, made where it is missing, and locked. One that was made here goes again where the sitting is refused before it keeps
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

// Of the sittings before, as far as they made what this one goes on with.
std::vector<std::string> earlier_commands(const fs::path& directory, const std::vector<PlannedVariant>& variants) {
  if (!fs::exists(directory / "comparison.json")) return {};
  try {
    ComparisonFile file = read_comparison(directory);
    for (const PlannedVariant& variant : variants) {
      const auto& hashes = file.variant_hashes;
      if (std::find(hashes.begin(), hashes.end(), variant.hash) != hashes.end()) return std::move(file.comparison.commands);
    }
  } catch (const UserError& error) {
    log::warn(cat(error.what(), "; rewriting it without the commands of earlier sittings"));
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

class Sitting {
 public:
  Sitting(const SittingOptions& options, RunMaker& maker) : options_(options), maker_(maker), planner_(options, maker) {}

  Tally run() {
    planner_.check();
    Place place(options_.directory);
    planner_.prepare();
    const int jobs = planner_.jobs(options_.directory);
    threads_ = std::max(1, auto_threads() / jobs);
    runner_ = {.num_jobs = jobs, .log_interval_s = options_.log_interval_s};
    variants_ = planner_.variants(threads_);
    if (options_.config.equalize == Equalize::kTime) equalize_time();
    commands_ = earlier_commands(options_.directory, variants_);
    plan_tuning();
    choose();
    refuse_mixed_seeds(cells_of(planner_.seeds()), options_.directory / "cells", /*more_to_come=*/will_tune());
    place.keep();
    write();
    Tally tally = tune();
    if (!tally.interrupted) add(tally, run_comparison());
    tell_of_others();
    return tally;
  }

 private:
  void equalize_time() {
    std::vector<Timed> timed;
    for (const PlannedVariant& variant : variants_) timed.push_back(planner_.timed(variant, threads_, options_.directory / "measured"));
    const std::vector<double> seconds = step_times(timed, planner_.baseline(), options_.directory);
    const auto baseline_steps = variants_[planner_.baseline()].facts.steps;
    invariant(baseline_steps.has_value(), "steps are known once the data is prepared");
    for (std::size_t i = 0; i < variants_.size(); ++i) {
      variants_[i].steps = steps_in_equal_time(*baseline_steps, seconds[planner_.baseline()], seconds[i]);
      log::info(cat(timed[i].label, ": ", count_of(*variants_[i].steps, "step"), " of ", short_number(seconds[i]), " s"));
    }
  }

  void plan_tuning() {
    if (!options_.config.tune) return;
    for (const PlannedVariant& variant : variants_) tuning_cells_.push_back(planner_.tuning_cells(variant, threads_));
    refuse_mixed_seeds(our_tuning(), options_.directory / "tune");
  }

  // Every variant's values as far as its tuning runs say some, and the cells that follow.
  void choose() {
    tuning_.clear();
    undecided_.assign(variants_.size(), "");
    for (std::size_t i = 0; i < variants_.size(); ++i) {
      std::optional<report::Settings> values = report::Settings{};
      if (options_.config.tune) {
        Choice choice = choice_of(tuning_cells_[i], *options_.config.tune);
        values = std::move(choice.values);
        undecided_[i] = std::move(choice.undecided);
        std::move(choice.points.begin(), choice.points.end(), std::back_inserter(tuning_));
      }
      if (values) take(i, *values);
    }
  }

  void take(std::size_t variant, const report::Settings& values) {
    if (!tuned_.emplace(variant, values).second) return;
    for (const std::uint64_t seed : options_.config.seeds)
      cells_.emplace(std::pair(variant, seed), planner_.cell(variants_[variant], values, seed, threads_));
  }

  // Of this sitting's variants.
  std::vector<Cell> our_tuning() const {
    std::vector<Cell> ours;
    for (const std::size_t i : planner_.chosen()) ours.insert(ours.end(), tuning_cells_[i].begin(), tuning_cells_[i].end());
    return ours;
  }

  Tally tune() {
    if (!options_.config.tune) return {};
    const std::vector<Cell> ours = our_tuning();
    RunnerOptions runner = runner_;
    runner.title = "tuning";
    note_command(ours);
    Tally tally = run_cells(ours, maker_, runner);
    tally.num_diverged = 0;  // such a candidate has lost, which is what tuning is for
    choose();
    for (const std::size_t i : planner_.chosen())
      if (!undecided_[i].empty() && !stop_requested())
        log::warn(cat(report::label_of(variants_[i].settings), ": ", undecided_[i], "; its runs wait"));
    write();
    if (!tally.interrupted) refuse_mixed_seeds(cells_of(planner_.seeds()), options_.directory / "cells");  // with the variants decided now
    return tally;
  }

  Tally run_comparison() {
    std::vector<Cell> ours;
    Tally tally;
    for (const std::uint64_t seed : planner_.seeds()) {
      for (const std::size_t i : planner_.chosen()) {
        const auto cell = cells_.find(std::pair(i, seed));
        if (cell == cells_.end()) {
          ++tally.num_waiting;
        } else {
          ours.push_back(cell->second);
        }
      }
    }
    note_command(ours);
    add(tally, run_cells(ours, maker_, runner_));
    return tally;
  }

  // A sitting that finds everything done has no part in the result.
  void note_command(std::span<const Cell> cells) {
    if (!has_work(cells) || std::find(commands_.begin(), commands_.end(), options_.command) != commands_.end()) return;
    commands_.push_back(options_.command);
    write();
  }

  bool will_tune() const {
    return std::any_of(planner_.chosen().begin(), planner_.chosen().end(),
                       [&](std::size_t i) { return !undecided_[i].empty() && undecided_[i] != kAllDiverged; });
  }

  // Of every variant whose values are known.
  std::vector<Cell> cells_of(std::span<const std::uint64_t> seeds) const {
    std::vector<Cell> cells;
    for (const auto& [place, cell] : cells_)
      if (std::find(seeds.begin(), seeds.end(), place.second) != seeds.end()) cells.push_back(cell);
    return cells;
  }

  void write() const {
    ComparisonFile file;
    report::Comparison& c = file.comparison;
    const RunFacts& facts = variants_.front().facts;
    c.name = options_.name;
    c.metric = config::name_of(options_.config.metric);
    c.equalize = config::name_of(options_.config.equalize);
    describe_objective(c, facts.objective);
    c.seeds = options_.config.seeds;
    c.baseline = planner_.baseline();
    c.tuning = tuning_;
    c.tuning_note = tuning_note(options_.config.tune);
    c.config = options_.config_text;
    c.commands = commands_;
    const auto is_shared = [&](std::string RunFacts::*fact) {
      return std::all_of(variants_.begin(), variants_.end(), [&](const PlannedVariant& v) { return v.facts.*fact == facts.*fact; });
    };
    if (is_shared(&RunFacts::data_fingerprint)) c.data_fingerprint = facts.data_fingerprint;
    if (is_shared(&RunFacts::tokenizer_hash)) c.tokenizer_hash = facts.tokenizer_hash;
    for (std::size_t i = 0; i < variants_.size(); ++i) {
      add_variant(c, i);
      file.variant_hashes.push_back(variants_[i].hash);
      file.steps.push_back(variants_[i].steps);
    }
    add_cells(c);
    write_comparison(file, options_.directory);
  }

  void add_variant(report::Comparison& c, std::size_t i) const {
    const RunFacts& f = variants_[i].facts;
    c.variants.push_back({.settings = variants_[i].settings,
                          .num_parameters = f.num_parameters,
                          .d_ff = f.d_ff,
                          .d_ff_mismatch = f.d_ff_mismatch,
                          .multiply_adds_per_token = f.multiply_adds_per_token,
                          .flops_per_token = f.flops_per_token,
                          .tuned = tuned_.contains(i) ? tuned_.at(i) : report::Settings{}});
  }

  void add_cells(report::Comparison& c) const {
    for (std::size_t i = 0; i < variants_.size(); ++i) {
      for (const std::uint64_t seed : c.seeds) {
        report::Cell& cell = c.cells.emplace_back();
        cell.settings = variants_[i].settings;
        cell.seed = seed;
        const auto known = cells_.find(std::pair(i, seed));
        if (known == cells_.end()) continue;  // its values are not chosen yet
        cell.hash = known->second.hash;
        cell.directory = cat("cells/", known->second.name);
      }
    }
  }

  void tell_of_others() const {
    std::set<std::string> names;
    for (const auto& [place, cell] : cells_) names.insert(cell.name);
    std::size_t num_others = 0;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(options_.directory / "cells", error))
      num_others += names.contains(entry.path().filename().string()) ? 0 : 1;
    if (num_others > 0)
      log::info(cat(count_of(static_cast<std::int64_t>(num_others), "run"), " in ", (options_.directory / "cells").string(),
                    " belong to another configuration or other data; kept, and left out of the report"));
  }

  const SittingOptions& options_;
  RunMaker& maker_;
  Planner planner_;
  int threads_ = 1;
  RunnerOptions runner_;
  std::vector<PlannedVariant> variants_;
  std::vector<std::string> commands_;                            // that ran something, this one included
  std::vector<std::vector<Cell>> tuning_cells_;                  // by variant; empty without tuning
  std::map<std::size_t, report::Settings> tuned_;                // by variant, where it is known; empty settings without tuning
  std::map<std::pair<std::size_t, std::uint64_t>, Cell> cells_;  // by variant and seed, where tuned_ is known
  std::vector<std::string> undecided_;                           // by variant: why tuned_ is not known
  std::vector<report::TuningPoint> tuning_;
};

}  // namespace

Tally run_sitting(const SittingOptions& options, RunMaker& maker) { return Sitting(options, maker).run(); }

}  // namespace sluice::compare
