#include "compare/collect.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "base/error.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/cell.h"
#include "compare/plan_guard.h"
#include "compare/plan_text.h"
#include "compare/seed_consistency.h"
#include "compare/tuning.h"
#include "config/names.h"
#include "report/tuned_values.h"
#include "stats/moments.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

void set_state(report::CellResult& cell, CellState status, std::string remark) {
  cell.state = status;
  cell.remark = std::move(remark);
}

void copy_result(report::CellResult& cell, const store::RunResult& result, report::Metric metric) {
  const auto& figure = metric == report::Metric::kBitsPerByte ? result.figures.bits_per_byte
                                                              : result.figures.log_perplexity;
  if (!figure || !std::isfinite(*figure))
    return set_state(cell, CellState::kFailed, cat("the run reports no ", config::name_of(metric)));
  cell.state = CellState::kFinished;
  cell.log_perplexity = result.figures.log_perplexity;
  cell.bits_per_byte = result.figures.bits_per_byte;
  cell.uniform_log_perplexity = result.uniform_log_perplexity;
  cell.learned_nothing = store::learned_nothing(result);
  cell.documents = result.documents;
  cell.steps = result.step;
  cell.tokens = result.tokens;
  cell.training_seconds = result.training_seconds;
  cell.build = result.build;
  cell.libtorch = result.libtorch;
  cell.env.cpu = result.cpu;
  cell.env.device = result.device;
  cell.env.precision = result.precision;
  cell.env.threads = result.threads;
}

// Replaces the metric by its mean over the last evaluations (compare.average_last).
void average_evaluations(report::CellResult& cell, const fs::path& metrics,
                         std::uint64_t num_targets, std::int64_t count) {
  const std::vector<double> figures = evaluations_of(metrics, num_targets);
  const auto wanted = static_cast<std::size_t>(count);
  if (figures.size() < wanted)
    return set_state(
        cell, CellState::kFailed,
        cat("received ", figures.size(), " evaluations of the ", num_targets,
            " held-out targets of the last one; expected compare.average_last, ", count));
  const double last = figures.back();
  const double mean = stats::mean_of(std::span(figures).last(wanted));
  if (cell.bits_per_byte) *cell.bits_per_byte *= mean / last;  // of the same bytes
  cell.log_perplexity = mean;
}

bool all_candidates_diverged(const report::Comparison& comparison, const report::Settings& variant,
                             std::uint64_t group) {
  const auto is_ours = [&](const report::TuningPoint& point) {
    return point.settings == variant && point.group == group;
  };
  const auto& points = comparison.tuning;
  return std::any_of(points.begin(), points.end(), is_ours) &&
         std::all_of(points.begin(), points.end(), [&](const report::TuningPoint& point) {
           return point.diverged || !is_ours(point);
         });
}

// Reads the cell's directory.
void read_cell(report::CellResult& cell, const fs::path& directory,
               const report::Comparison& comparison) {
  if (cell.directory.empty()) {  // no values chosen yet, or all candidates diverged
    if (all_candidates_diverged(comparison, cell.settings,
                                group_of(comparison.seeds, comparison.seed_groups, cell.seed)))
      set_state(cell, CellState::kDiverged, std::string(kAllDiverged));
    return;
  }
  const fs::path place = directory / cell.directory;
  const auto record = read_record(place / "cell.json");
  if (!record || record->hash != cell.hash) return;
  if (record->settings != cell.settings || record->seed != cell.seed)
    return set_state(cell, CellState::kFailed,
                     cat("changed after the run: cell.json is that of ",
                         report::label_of(record->settings), ", seed ", record->seed));
  const Curves curves = read_curves(place / "run" / "metrics.jsonl");
  cell.training = curves.training;
  cell.held_out = curves.held_out;
  cell.env = record->env;
  cell.build = record->build;
  cell.plan = record->plan;
  if (record->seal) cell.seal_lines = seal_lines(*record);
  if (record->state == CellState::kDiverged) set_state(cell, CellState::kDiverged, record->remark);
  if (record->state == CellState::kFailed) set_state(cell, CellState::kFailed, record->remark);
  if (record->state == CellState::kFinished) {
    const store::RunResult result = store::read_run_result(place / "run" / "result.json");
    copy_result(cell, result, comparison.metric);
    if (comparison.average_last && cell.state == CellState::kFinished)
      average_evaluations(cell, place / "run" / "metrics.jsonl", result.num_targets,
                          *comparison.average_last);
  }
  if (const auto faults = seal_faults(*record, place / "run"); !faults.empty())
    set_state(cell, CellState::kFailed, cat("changed after the run: ", faults.front()));
}

// A run with a result under another plan than this one voids the error rate. What sessions have
// recorded says the same in other words.
void add_plan_changes(report::Comparison& comparison) {
  const std::string plan = plan_text(comparison);
  std::vector<std::string> changes;
  for (const report::CellResult& cell : comparison.cells) {
    if (!has_ended(cell.state)) continue;
    const PlanDifference difference = compare_plans(cell.plan, plan);
    if (!difference.change.empty())
      add_once(changes, cat("runs were made under another plan: ", difference.change));
    if (!difference.extended.empty()) add_once(comparison.extended_plans, difference.extended);
  }
  if (comparison.plan_changes.empty()) comparison.plan_changes = std::move(changes);
}

ComparisonFile read_results(const fs::path& directory, const fs::path& first) {
  ComparisonFile file = read_comparison(directory);
  for (report::CellResult& cell : file.comparison.cells) {
    try {
      read_cell(cell, directory, file.comparison);
    } catch (const UserError& error) {
      set_state(cell, CellState::kFailed, error.what());
    }
    if (directory != first && !cell.directory.empty())
      cell.directory = fs::absolute(directory / cell.directory)
                           .lexically_proximate(fs::absolute(first).lexically_normal())
                           .string();
  }
  add_plan_changes(file.comparison);
  return file;
}

// How the values chosen for a variant differ; empty if they agree or one is missing.
std::string tuning_difference(const report::Comparison& a, const report::Comparison& b,
                              const report::Settings& variant) {
  for (std::size_t group = 0; group < a.seed_groups; ++group) {
    const report::TuningPoint* ours = report::chosen_point(a, variant, group);
    const report::TuningPoint* theirs = report::chosen_point(b, variant, group);
    if (ours != nullptr && theirs != nullptr && ours->candidate != theirs->candidate)
      return cat(report::label_of(variant), " tuned to ", report::label_of(theirs->candidate),
                 " instead of ", report::label_of(ours->candidate));
  }
  return "";
}

void require_same(const ComparisonFile& first, const ComparisonFile& other,
                  const fs::path& directory) {
  const report::Comparison &a = first.comparison, &b = other.comparison;
  std::string difference;
  if (a.metric != b.metric)
    difference =
        cat("metric ", config::name_of(b.metric), " instead of ", config::name_of(a.metric));
  if (a.average_last != b.average_last)
    difference = cat("the mean of the last ", b.average_last.value_or(1), " instead of ",
                     a.average_last.value_or(1), " evaluations");
  if (a.equalize != b.equalize)
    difference = cat("equal ", config::name_of(b.equalize), " instead of equal ",
                     config::name_of(a.equalize));
  if (a.looks != b.looks || a.spending != b.spending) difference = "different looks";
  if (!a.looks.empty() && a.seeds != b.seeds)
    difference = cat("seeds ", in_brackets(b.seeds), " instead of ", in_brackets(a.seeds),
                     ", of which looks judge the first");
  if (a.margin != b.margin) difference = "a different margin";
  if (a.data_fingerprint != b.data_fingerprint) difference = "different data";
  if (a.baseline != b.baseline) difference = "a different baseline";
  if (a.tuning_note.empty() != b.tuning_note.empty())
    difference = b.tuning_note.empty() ? "a comparison without tuning" : "a comparison with tuning";
  if (!a.tuning_plan.empty() && !b.tuning_plan.empty() && a.tuning_plan != b.tuning_plan)
    difference = cat("tuning ", b.tuning_plan, " instead of ", a.tuning_plan);
  if (a.seed_groups != b.seed_groups) difference = "another compare.tune.repeat";
  if (a.seed_groups > 1 && a.seeds != b.seeds)
    difference = "other seeds, which belong to other groups of compare.tune.repeat";
  if (first.variant_hashes != other.variant_hashes) difference = "different variants or settings";
  for (std::size_t i = 0; difference.empty() && i < a.variants.size(); ++i) {
    difference = tuning_difference(a, b, a.variants[i].settings);
    if (first.steps[i] != other.steps[i])
      difference = cat("a different number of steps for ", report::label_of(a.variants[i].settings),
                       " because of different step times");
  }
  if (!difference.empty())
    fail(ExitCode::kUsage, directory.string(), difference,
         "the same comparison as in the first directory; only the seeds may differ");
}

int rank(CellState status) {
  switch (status) {
    case CellState::kFinished:
      return 3;
    case CellState::kDiverged:
      return 2;
    case CellState::kFailed:
      return 1;
    case CellState::kStarted:
    case CellState::kWaiting:
      return 0;
  }
  return 0;
}

// Copies the tuning of variants, and of groups of seeds, tuned only in `from`.
void copy_missing_tuning(report::Comparison& into, const report::Comparison& from) {
  for (std::size_t i = 0; i < into.variants.size(); ++i) {
    const report::Settings& settings = into.variants[i].settings;
    for (std::size_t group = 0; group < into.seed_groups; ++group) {
      if (report::chosen_point(into, settings, group) != nullptr ||
          report::chosen_point(from, settings, group) == nullptr)
        continue;
      into.variants[i].tuned = from.variants[i].tuned;
      const auto is_ours = [&](const report::TuningPoint& point) {
        return point.settings == settings && point.group == group;
      };
      std::erase_if(into.tuning, is_ours);
      std::copy_if(from.tuning.begin(), from.tuning.end(), std::back_inserter(into.tuning),
                   is_ours);
    }
  }
}

// Seeds that were planned apart may have been chosen by their results.
std::string seeds_difference(const report::Comparison& a, const report::Comparison& b) {
  return std::ranges::is_permutation(a.seeds, b.seeds)
             ? ""
             : cat("directories with different seeds were merged: ", in_brackets(a.seeds), " and ",
                   in_brackets(b.seeds));
}

void merge(report::Comparison& into, report::Comparison from) {
  if (std::string change = seeds_difference(into, from); !change.empty())
    add_once(into.plan_changes, std::move(change));
  for (std::string& change : from.plan_changes) add_once(into.plan_changes, std::move(change));
  for (std::string& plan : from.extended_plans) add_once(into.extended_plans, std::move(plan));
  copy_missing_tuning(into, from);
  for (const std::uint64_t seed : from.seeds) {
    if (std::find(into.seeds.begin(), into.seeds.end(), seed) == into.seeds.end())
      into.seeds.push_back(seed);
  }
  for (report::CellResult& cell : from.cells) {
    const auto same =
        std::find_if(into.cells.begin(), into.cells.end(), [&](const report::CellResult& one) {
          return one.seed == cell.seed && one.settings == cell.settings;
        });
    if (same == into.cells.end()) {
      into.cells.push_back(std::move(cell));
    } else if (rank(cell.state) > rank(same->state)) {
      *same = std::move(cell);
    }
  }
  for (std::string& command : from.commands) {
    if (std::find(into.commands.begin(), into.commands.end(), command) == into.commands.end())
      into.commands.push_back(std::move(command));
  }
}

void require_consistent_seeds(const report::Comparison& comparison) {
  std::map<std::uint64_t, ExecutionEnv> envs;
  for (const report::CellResult& cell : comparison.cells) {
    // An empty name means never started, or a damaged record.
    if (cell.state == CellState::kWaiting || cell.env.cpu.empty()) continue;
    const auto& [seed, env] = *envs.emplace(cell.seed, cell.env).first;
    if (!same_env(env, cell.env, cell.settings))
      fail(ExitCode::kUsage, cat("seed ", seed),
           cat("runs with ", describe(env), " and with ", describe(cell.env)),
           "the same environment for all runs of a seed; delete the other runs");
  }
}

}  // namespace

report::Comparison collect(std::span<const fs::path> directories) {
  invariant(!directories.empty(), "collect() needs a directory");
  ComparisonFile first = read_results(directories[0], directories[0]);
  for (const fs::path& directory : directories.subspan(1)) {
    ComparisonFile other = read_results(directory, directories[0]);
    require_same(first, other, directory);
    merge(first.comparison, std::move(other.comparison));
  }
  if (directories.size() > 1) require_consistent_seeds(first.comparison);
  first.comparison.version = build_name();
  seal_comparison(first.comparison);
  return std::move(first.comparison);
}

}  // namespace sluice::compare
