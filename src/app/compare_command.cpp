#include <algorithm>
#include <iostream>
#include <optional>

#include "app/commands.h"
#include "app/comparison_config.h"
#include "app/comparison_runs.h"
#include "app/outputs.h"
#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/session.h"
#include "report/report.h"
#include "report/text_table.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

compare::SessionOptions session_of(const CompareOptions& options, const ComparisonConfig& config) {
  return {.config = *config.compare,
          .name = config.run.run.name,
          .config_text = config::to_yaml(config, config::Comments::kNone),
          .command = options.command_line,
          .directory = config.run.run.dir,
          .only = options.only,
          .seeds = options.seeds,
          .jobs = options.jobs,
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
                        .seeds_for_a_hundredth = forecast.seeds_for_a_hundredth};
  for (const compare::VariantForecast& v : forecast.variants)
    output.variants.push_back({.settings = v.settings,
                               .num_parameters = v.facts.num_parameters,
                               .d_ff = v.facts.d_ff,
                               .d_ff_mismatch = v.facts.d_ff_mismatch,
                               .multiply_adds_per_token = v.facts.multiply_adds_per_token,
                               .flops_per_token = v.facts.flops_per_token,
                               .steps = v.facts.steps,
                               .seconds_per_step = v.seconds_per_step,
                               .other_seconds = v.seconds_per_step ? std::optional(v.other_seconds) : std::nullopt});
  return output;
}

std::string flops_words(double flops) {
  return flops < 1e15 ? cat(fixed(flops / 1e12, 3), " TFLOP") : cat(fixed(flops / 1e15, 2), " PFLOP");
}

std::string whole(double number) { return with_commas(static_cast<std::int64_t>(number)); }

report::TextTable table_of(const compare::Forecast& forecast) {
  report::TextTable table{
      .columns = {{"variant", false}, {"parameters"}, {"d_ff"}, {"mismatch"}, {"multiply-adds/token"}, {"steps"}, {"s/step"}}};
  for (std::size_t i = 0; i < forecast.variants.size(); ++i) {
    const compare::VariantForecast& v = forecast.variants[i];
    table.rows.push_back({cat(report::label_of(v.settings), i == forecast.baseline ? " (baseline)" : ""),
                          with_commas(v.facts.num_parameters), with_commas(v.facts.d_ff), cat(fixed(100 * v.facts.d_ff_mismatch, 3), " %"),
                          whole(v.facts.multiply_adds_per_token), v.facts.steps ? with_commas(*v.facts.steps) : "unknown",
                          v.seconds_per_step ? fixed(*v.seconds_per_step, 4) : "unknown"});
  }
  return table;
}

// Why the cost is not known.
std::string_view unknown_steps(const compare::Forecast& f, const compare::CompareConfig& config) {
  const bool is_timed =
      std::all_of(f.variants.begin(), f.variants.end(), [](const compare::VariantForecast& v) { return v.seconds_per_step.has_value(); });
  return config.equalize == compare::Equalize::kTime && !is_timed ? "unknown: steps follow from times per step (--measure)"
                                                                  : "unknown: steps follow from data that is not prepared yet";
}

// What the time has, and what it leaves out.
std::string_view time_remark(const compare::Forecast& f) {
  return f.is_prepared ? ", evaluations and checkpoints included"
                       : ", checkpoints included; preparation and evaluations not: the data is not prepared yet";
}

void print(const compare::Forecast& f, const compare::CompareConfig& config) {
  std::cout << report::console_text_table(table_of(f)) << "\nruns       " << f.num_cells;
  if (f.num_tuning_cells > 0) std::cout << ", and " << f.num_tuning_cells << " before them to choose values (compare.tune)";
  if (f.num_done) std::cout << "; " << *f.num_done << " done already";
  std::cout << "\ncost       " << (f.flops ? flops_words(*f.flops) : unknown_steps(f, config)) << "; time one after the other "
            << (f.seconds ? cat("about ", human_duration(*f.seconds)) : "unknown (--measure times the steps)")
            << (f.seconds ? time_remark(f) : "") << "\n";
  if (f.detectable_difference) {
    std::cout << "detectable " << fixed(*f.detectable_difference, 4) << " "
              << (config.metric == compare::Metric::kLogPerplexity ? "nats" : "bits") << " to the baseline with "
              << count_of(static_cast<std::int64_t>(config.seeds.size()), "seed")
              << ", two-sided 5 % family-wise and 80 % power, at a standard deviation of " << fixed(*f.std, 4) << "\n";
  } else {
    std::cout << "detectable unknown: needs "
              << (f.std ? "two seeds and two variants at least" : "compare.assumed_std, a number or a pilot's directory") << "\n";
  }
  if (f.seeds_for_a_hundredth) std::cout << "           0.01 would need " << count_of(*f.seeds_for_a_hundredth, "seed") << "\n";
}

struct Counts {
  std::size_t finished = 0, diverged = 0, failed = 0, waiting = 0;
};

Counts count(const report::Comparison& comparison) {
  Counts counts;
  for (const report::Cell& cell : comparison.cells) {
    if (cell.status == report::CellStatus::kFinished) ++counts.finished;
    if (cell.status == report::CellStatus::kDiverged) ++counts.diverged;
    if (cell.status == report::CellStatus::kFailed) ++counts.failed;
    if (cell.status == report::CellStatus::kWaiting) ++counts.waiting;
  }
  return counts;
}

void show_report(const std::vector<fs::path>& directories, bool json) {
  const report::Comparison comparison = compare::collect(directories);
  const fs::path& place = directories.front();
  const Counts counts = count(comparison);
  if (!json) std::cout << report::console_table(comparison) << std::flush;  // also where the files cannot be written
  try {
    report::write_report(comparison, place);
  } catch (const UserError& error) {
    fail(error.code(), place.string(), cat("the report cannot be written there: ", error.what()),
         "a directory that this user may write, as the first one");
  }
  if (json) {
    std::cout << config::to_json(CompareOutput{.directory = place.string(),
                                               .finished = counts.finished,
                                               .diverged = counts.diverged,
                                               .failed = counts.failed,
                                               .waiting = counts.waiting,
                                               .results = (place / "results.json").string(),
                                               .report = (place / "report.html").string()});
  } else {
    std::cout << "\nreport  " << printable((place / "report.html").string(), std::string::npos) << "\n";
  }
}

// What became of the runs that were going on.
std::string fate_of_runs(const compare::Tally& tally) {
  if (tally.num_saved + tally.num_unsaved + tally.num_unbegun == 0) return ", no run was active";
  if (tally.num_unsaved + tally.num_unbegun == 0) return ", everything is saved";
  std::string words;
  const auto add = [&](std::size_t num, std::string_view what) {
    if (num > 0) words += cat(words.empty() ? ": " : ", ", count_of(static_cast<std::int64_t>(num), "run"), " ", what);
  };
  add(tally.num_saved, "saved");
  add(tally.num_unbegun, "stopped before the first step");
  add(tally.num_unsaved, "ended without saving, back to the newest checkpoint");
  return words;
}

[[noreturn]] void stop_here(const std::string& directory, const compare::Tally& tally) {
  fail(ExitCode::kInterrupted, directory,
       cat("stopped by ", stop_requested() ? stop_signal() : "a signal to one of its runs", fate_of_runs(tally)),
       "the same command again to go on");
}

// The exit code says what became of this session's runs.
void tell(const compare::Tally& tally, const std::string& directory) {
  std::cout.flush();
  const std::string counts = cat(count_of(static_cast<std::int64_t>(tally.num_finished), "run"), " finished, ", tally.num_diverged,
                                 " diverged, ", tally.num_failed, " failed");
  if (tally.num_failed > 0)
    fail(static_cast<ExitCode>(tally.worst_code), directory, counts, "their output.txt says why, the same command tries them again");
  if (tally.num_diverged > 0)
    fail(ExitCode::kDiverged, directory, counts,
         "a lower learning rate, or train.divergence.policy; diverged runs are reported, not run again");
  if (tally.num_waiting > 0)
    fail(ExitCode::kDiverged, directory,
         cat(counts, ", ", tally.num_waiting, " never started: every candidate of compare.tune diverged for their variants"),
         "other values to choose from");
}

}  // namespace

void compare_command(const CompareOptions& options) {
  if (!options.report.empty()) return show_report({options.report.begin(), options.report.end()}, options.json);
  const auto config = load_comparison({.file = options.config.config, .overrides = options.config.overrides});
  if (!config.compare)
    fail(ExitCode::kUsage, options.config.config, "no section `compare`",
         "one that says what varies, such as `compare: {vary: {model.ffn: [relu, geglu]}}`");
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
  if (tally.interrupted) stop_here(config.run.run.dir, tally);
  show_report({fs::path(config.run.run.dir)}, options.json);
  tell(tally, config.run.run.dir);
}

}  // namespace sluice::app
