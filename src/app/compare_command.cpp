#include <algorithm>
#include <iostream>
#include <optional>

#include "app/commands.h"
#include "app/compare_outputs.h"
#include "app/comparison_config.h"
#include "app/comparison_runs.h"
#include "app/noise_study.h"
#include "app/submit_command.h"
#include "app/verdict_command.h"
#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/session.h"
#include "report/report.h"
#include "report/text_table.h"
#include "stats/sign_flip.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

compare::SessionOptions session_of(const CompareOptions& options, ComparisonConfig config) {
  config.compare->slurm.reset();  // where it is computed, not what
  return {.config = *config.compare,
          .name = config.run.run.name,
          .config_text = config::to_yaml(config, config::Comments::kNone),
          .command = options.command_line,
          .directory = config.run.run.dir,
          .only = options.only,
          .seeds = options.seeds,
          .part = options.part,
          .jobs = options.jobs,
          .runs_in = options.runs_in,
          .log_interval_s = config.run.train.log_interval.count};
}

ForecastOutput output_of(const compare::Forecast& forecast) {
  ForecastOutput output{.baseline = forecast.baseline,
                        .cells = forecast.num_cells,
                        .tuning_cells = forecast.num_tuning_cells,
                        .cells_done = forecast.num_done,
                        .flops = forecast.flops,
                        .seconds = forecast.seconds,
                        .assumed_std = forecast.std,
                        .detectable_difference = forecast.detectable_difference,
                        .seeds_for_a_hundredth = forecast.seeds_for_0_01,
                        .smallest_p = forecast.smallest_p,
                        .min_seeds = forecast.min_seeds};
  for (const compare::VariantForecast& v : forecast.variants)
    output.variants.push_back(
        {.settings = v.settings,
         .sizes = v.facts.sizes,
         .steps = v.facts.steps,
         .seconds_per_step = v.seconds_per_step,
         .other_seconds = v.seconds_per_step ? std::optional(v.other_seconds) : std::nullopt});
  return output;
}

std::string flops_text(double flops) {
  return flops < 1e15 ? cat(fixed(flops / 1e12, 3), " TFLOP")
                      : cat(fixed(flops / 1e15, 2), " PFLOP");
}

report::TextTable table_of(const compare::Forecast& forecast) {
  report::TextTable table{.columns = {{"variant", false},
                                      {"parameters"},
                                      {"d_ff"},
                                      {"mismatch"},
                                      {"multiply-adds/token"},
                                      {"steps"},
                                      {"s/step"}}};
  for (std::size_t i = 0; i < forecast.variants.size(); ++i) {
    const compare::VariantForecast& v = forecast.variants[i];
    table.rows.push_back(
        {cat(report::label_of(v.settings), i == forecast.baseline ? " (baseline)" : ""),
         with_commas(v.facts.sizes.num_parameters), with_commas(v.facts.sizes.d_ff),
         cat(fixed(100 * v.facts.sizes.d_ff_mismatch, 3), " %"),
         with_commas(static_cast<std::int64_t>(v.facts.sizes.multiply_adds_per_token)),
         v.facts.steps ? with_commas(*v.facts.steps) : "unknown",
         v.seconds_per_step ? fixed(*v.seconds_per_step, 4) : "unknown"});
  }
  return table;
}

std::string_view unknown_cost(const compare::Forecast& f, const compare::CompareConfig& config) {
  const bool is_timed =
      std::all_of(f.variants.begin(), f.variants.end(),
                  [](const compare::VariantForecast& v) { return v.seconds_per_step.has_value(); });
  return config.equalize == compare::Equalize::kTime && !is_timed
             ? "unknown: the number of steps depends on the time per step (--measure)"
             : "unknown: the number of steps depends on data that is not prepared yet";
}

std::string_view time_remark(const compare::Forecast& f) {
  return f.is_prepared ? " including evaluations and checkpoints"
                       : " including checkpoints, without preparation and evaluations: the data is "
                         "not prepared yet";
}

// What the tests compare: seeds, or the means of groups of seeds.
std::string unit_of(const compare::CompareConfig& config) {
  return compare::num_groups(config) == 1 ? "seed" : "group";
}

// What the tests can find, before any run.
void print_plan(const compare::Forecast& f, const compare::CompareConfig& config) {
  const auto num_compared = static_cast<std::int64_t>(config.seeds.size() / group_size(config));
  const std::string unit = unit_of(config);
  std::cout << "verdict    ";
  if (f.variants.size() < 2) {
    std::cout << "none possible: only one variant\n";
    return;
  }
  if (num_compared < f.min_seeds) {
    std::cout << "none possible: with " << count_of(num_compared, unit)
              << " p is never 0.05 or less; needs at least " << count_of(f.min_seeds, unit) << "\n";
    return;
  }
  std::cout << "sign-flip test on " << count_of(num_compared, unit) << ", smallest p "
            << short_number(f.smallest_p) << "\n";
  for (std::size_t k = 0; k < f.look_levels.size(); ++k) {
    const std::size_t look = config.looks[k];
    std::cout << "           look " << k + 1 << ", " << look << " seeds: level "
              << fixed(f.look_levels[k], 4)
              << (stats::smallest_p(look / group_size(config)) > f.look_levels[k]
                      ? ", nothing can be found"
                      : "")
              << "\n";
  }
}

void print(const compare::Forecast& f, const compare::CompareConfig& config) {
  std::cout << report::console_text_table(table_of(f)) << "\nruns       " << f.num_cells;
  if (f.num_tuning_cells > 0)
    std::cout << ", plus " << count_of(static_cast<std::int64_t>(f.num_tuning_cells), "tuning run")
              << " (compare.tune)";
  if (f.num_done) std::cout << "; " << *f.num_done << " already done";
  std::cout << "\ncost       " << (f.flops ? flops_text(*f.flops) : unknown_cost(f, config))
            << "; sequential time "
            << (f.seconds ? cat("about ", human_duration(*f.seconds))
                          : "unknown (--measure times the steps)")
            << (f.seconds ? time_remark(f) : "") << "\n";
  print_plan(f, config);
  if (f.detectable_difference) {
    std::cout << "detectable " << fixed(*f.detectable_difference, 4) << " "
              << (config.metric == compare::Metric::kLogPerplexity ? "nats" : "bits")
              << " to the baseline with "
              << count_of(static_cast<std::int64_t>(config.seeds.size() / group_size(config)),
                          unit_of(config))
              << ", two-sided 5 % family-wise and 80 % power, at a standard deviation of "
              << fixed(*f.std, 4) << "\n";
  } else {
    std::cout << "detectable unknown: requires "
              << (f.std ? cat("two variants and at least ", f.min_seeds, " ", unit_of(config), "s")
                        : std::string("compare.assumed_std, a number or the directory of a pilot"))
              << "\n";
  }
  if (f.seeds_for_0_01)
    std::cout << "           0.01 requires " << count_of(*f.seeds_for_0_01, "seed") << "\n";
}

struct Counts {
  std::size_t finished = 0, diverged = 0, failed = 0, waiting = 0;
};

Counts count(const report::Comparison& comparison) {
  Counts counts;
  for (const report::CellResult& cell : comparison.cells) {
    if (cell.state == report::CellState::kFinished) ++counts.finished;
    if (cell.state == report::CellState::kDiverged) ++counts.diverged;
    if (cell.state == report::CellState::kFailed) ++counts.failed;
    if (cell.state == report::CellState::kWaiting) ++counts.waiting;
  }
  return counts;
}

void show_report(const std::vector<fs::path>& directories, bool json) {
  const report::Comparison comparison = compare::collect(directories);
  const fs::path& target = directories.front();
  const Counts counts = count(comparison);
  // Print the table even if writing the report fails.
  if (!json) std::cout << report::console_table(comparison) << std::flush;
  try {
    report::write_report(comparison, target);
  } catch (const UserError& error) {
    fail(error.code(), target.string(),
         cat("cannot write the report: ", error.what(), "; pass a writable directory first"));
  }
  if (json) {
    VerdictOutput verdict =
        verdict_output(comparison, report::analyze(comparison), target.string());
    std::cout << config::to_json(CompareOutput{.directory = target.string(),
                                               .finished = counts.finished,
                                               .diverged = counts.diverged,
                                               .failed = counts.failed,
                                               .waiting = counts.waiting,
                                               .results = (target / "results.json").string(),
                                               .report = (target / "report.html").string(),
                                               .outcome = verdict.outcome,
                                               .comparisons = std::move(verdict.comparisons)});
  } else {
    std::cout << "\nreport  " << printable((target / "report.html").string(), std::string::npos)
              << "\n";
  }
}

// The states of the runs that were active when the session was interrupted.
std::string stopped_runs_text(const compare::Tally& tally) {
  if (tally.num_saved + tally.num_unsaved + tally.num_not_started == 0)
    return ", no run was active";
  if (tally.num_unsaved + tally.num_not_started == 0) return ", everything is saved";
  std::string text;
  const auto add = [&](std::size_t num, std::string_view state) {
    if (num > 0)
      text += cat(text.empty() ? ": " : ", ", count_of(static_cast<std::int64_t>(num), "run"), " ",
                  state);
  };
  add(tally.num_saved, "saved");
  add(tally.num_not_started, "stopped before the first step");
  add(tally.num_unsaved, "ended without saving, reverting to the newest checkpoint");
  return text;
}

[[noreturn]] void fail_interrupted(const std::string& directory, const compare::Tally& tally) {
  fail(ExitCode::kInterrupted, directory,
       cat("stopped by ", stop_requested() ? stop_signal() : "a signal to one of its runs",
           stopped_runs_text(tally), "; repeat the command to continue"));
}

// Throws with the exit code of the first kind of unsuccessful runs; see docs/exit-codes.md.
void check_outcome(const compare::Tally& tally, const std::string& directory) {
  std::cout.flush();
  if (!tally.conflict.empty()) throw UserError(ExitCode::kUsage, tally.conflict);
  const std::string counts =
      cat(count_of(static_cast<std::int64_t>(tally.num_finished), "run"), " finished, ",
          tally.num_diverged, " diverged, ", tally.num_failed, " failed");
  if (tally.num_failed > 0)
    fail(static_cast<ExitCode>(tally.worst_code), directory,
         cat(counts, "; see output.txt of each failed run; repeat the command to retry"));
  if (tally.num_diverged > 0)
    fail(ExitCode::kDiverged, directory,
         cat(counts,
             "; lower the learning rate or change train.divergence.policy (diverged runs are "
             "reported, not repeated)"));
  if (tally.num_waiting > 0)
    fail(ExitCode::kDiverged, directory,
         cat(counts, ", ", tally.num_waiting,
             " never started: every candidate of compare.tune diverged for their variants; "
             "change the candidates"));
}

// A stream of random numbers with a fixed seed would be the same under all seeds.
void require_one_seed_for_all_streams(const train::StreamSeeds& streams) {
  for (const auto& [name, seed] : {std::pair("initial_values", streams.initial_values),
                                   {"data_order", streams.data_order},
                                   {"dropout_masks", streams.dropout_masks}})
    if (!seed.is_word())
      fail(ExitCode::kUsage, cat("run.seeds.", name), cat(*seed),
           "`seed`, since compare.seeds determines all streams of random numbers");
}

}  // namespace

void compare_command(const CompareOptions& options) {
  if (!options.report.empty())
    return show_report({options.report.begin(), options.report.end()}, options.json);
  const auto config =
      load_comparison({.file = options.config.config, .overrides = options.config.overrides});
  if (!config.compare)
    fail(ExitCode::kUsage, options.config.config,
         "missing section `compare`, e.g. `compare: {vary: {model.ffn: [relu, geglu]}}`");
  require_one_seed_for_all_streams(config.run.run.seeds);
  if (options.noise) {
    for (const auto& [option, given] :
         {std::pair("--only", !options.only.empty()), {"--seeds", !options.seeds.empty()}})
      require(!given, ExitCode::kUsage, "--noise", cat("cannot be combined with ", option));
    return noise_command(options, config);
  }
  if (options.submit) return submit_command(options, config);
  const compare::SessionOptions session = session_of(options, config);
  ComparisonRuns runs(options.config);
  if (options.dry_run) {
    const compare::Forecast forecast = compare::forecast(session, runs, options.measure);
    if (options.json) {
      std::cout << config::to_json(output_of(forecast));
    } else {
      print(forecast, session.config);
    }
    return;
  }
  const compare::Tally tally = compare::run_session(session, runs);
  if (tally.interrupted) fail_interrupted(config.run.run.dir, tally);
  {
    // One part at a time, so that the last one to write has seen the runs of all others.
    std::optional<store::RunLock> lock;
    if (options.part) lock = compare::lock_files(config.run.run.dir);
    show_report({fs::path(config.run.run.dir)}, options.json);
  }
  check_outcome(tally, config.run.run.dir);
}

}  // namespace sluice::app
