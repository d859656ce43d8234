// forecast() of session.h.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "compare/collect.h"
#include "compare/planner.h"
#include "compare/tuning.h"
#include "report/analysis.h"
#include "stats/power.h"
#include "stats/sign_flip.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// Means over a variant's finished cells. For a resumed cell, other_s is that of its last start.
std::optional<RunTime> times_of_finished_runs(const fs::path& directory,
                                              const std::optional<report::Comparison>& existing,
                                              const report::Settings& settings) {
  if (!existing) return std::nullopt;
  double seconds = 0, steps = 0, other = 0, cells = 0;
  for (const report::CellResult& cell : existing->cells) {
    if (cell.settings != settings || cell.state != report::CellState::kFinished) continue;
    const auto record = read_record(directory / cell.directory / "cell.json");
    seconds += cell.training_seconds;
    steps += static_cast<double>(cell.steps);
    other += record ? std::max(0.0, record->wall_seconds - cell.training_seconds) : 0.0;
    ++cells;
  }
  return steps > 0 ? std::optional(RunTime{.step_s = seconds / steps, .other_s = other / cells})
                   : std::nullopt;
}

// Damage only causes a warning: the next session rewrites the file.
std::optional<report::Comparison> existing_comparison(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::exists(directory / "comparison.json", ignored)) return std::nullopt;
  try {
    return collect(std::vector<fs::path>{directory});
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    log::warn(error.what());
    return std::nullopt;
  }
}

// Of the looks, in groups of seeds if groups are compared.
std::vector<double> look_levels(const CompareConfig& config, double level) {
  std::vector<std::int64_t> looks = looks_of(config);
  for (std::int64_t& look : looks) look /= static_cast<std::int64_t>(group_size(config));
  return stats::look_levels(looks, config.spending, level);
}

std::optional<double> assumed_std(const CompareConfig& config) {
  if (!config.assumed_std) return std::nullopt;
  if (const auto number = assumed_number(*config.assumed_std)) return number;
  const std::vector<fs::path> pilot{*config.assumed_std};
  const report::Comparison comparison = collect(pilot);
  const report::Analysis analysis = report::analyze(comparison);
  auto std = analysis.summary.residual_std;
  if (std) *std *= std::sqrt(static_cast<double>(analysis.columns.front().size()));  // of one run
  require(std.has_value(), ExitCode::kUsage, "compare.assumed_std", *config.assumed_std,
          "a number, or a comparison with two variants finished on two seeds");
  return std;
}

void time_variants(Forecast& forecast, const Planner& planner,
                   const std::vector<PlannedVariant>& variants, int threads) {
  const ScratchDirectory scratch;
  std::vector<TimingTask> tasks;
  for (const PlannedVariant& variant : variants)
    tasks.push_back(planner.timing_task(variant, threads, scratch.path()));
  std::vector<double> other_s(tasks.size(), std::numeric_limits<double>::infinity());
  const std::vector<StepTime> times = measure_interleaved(tasks.size(), [&](std::size_t i) {
    const RunTime reading = measure(tasks[i], {}, scratch.path());
    other_s[i] = std::min(other_s[i], reading.other_s);
    return reading.step_s;
  });
  if (const std::string busy = busy_message(tasks, times); !busy.empty())
    log::warn(cat(busy, "; results on an idle machine will differ"));
  for (std::size_t i = 0; i < times.size(); ++i) {
    forecast.variants[i].seconds_per_step = times[i].lowest_s;
    forecast.variants[i].other_seconds = other_s[i];
  }
}

// Sets the number of steps as a session would: from the step times saved in its directory,
// otherwise from those measured here, if any.
void set_equal_time_steps(Forecast& forecast, std::vector<PlannedVariant>& variants,
                          const std::map<std::string, double>& known, bool measured) {
  const auto known_s = [&](std::size_t i) {
    const auto time = known.find(variants[i].hash);
    return time == known.end() ? std::nullopt : std::optional(time->second);
  };
  const auto measured_s = [&](std::size_t i) {
    return measured ? forecast.variants[i].seconds_per_step : std::nullopt;
  };
  const auto baseline_steps = variants[forecast.baseline].facts.steps;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const bool is_known = known_s(i) && known_s(forecast.baseline);
    const auto step_s = is_known ? known_s(i) : measured_s(i);
    const auto baseline_s = is_known ? known_s(forecast.baseline) : measured_s(forecast.baseline);
    auto& steps = variants[i].facts.steps;
    steps.reset();
    if (baseline_steps && baseline_s && step_s)
      variants[i].steps = steps = steps_in_equal_time(*baseline_steps, *baseline_s, *step_s);
    forecast.variants[i].facts.steps = steps;
  }
}

std::size_t num_done_of(std::span<const Cell> cells) {
  return static_cast<std::size_t>(std::count_if(
      cells.begin(), cells.end(), [](const Cell& cell) { return is_done(cell, record_of(cell)); }));
}

// Number of this session's runs of one variant that are done. With compare.tune, its values are
// known only after all its tuning runs.
std::size_t num_done_of(const Planner& planner, const PlannedVariant& variant,
                        const CompareConfig& config, int threads) {
  std::size_t num_done = 0;
  for (const std::size_t group : planner.groups()) {
    std::optional<report::Settings> values = report::Settings{};
    if (config.tune) {
      const std::vector<Cell> tuning = planner.tuning_cells(variant, group, threads);
      num_done += num_done_of(tuning);
      values = choose_values(tuning, *config.tune, group).values;
    }
    if (!values) continue;
    for (const std::uint64_t seed : planner.seeds())
      if (group_of(config, seed) == group)
        num_done += num_done_of(std::array{planner.cell(variant, *values, seed, threads)});
  }
  return num_done;
}

// Adds the cost of this session's cells, if steps and times are known.
void add_costs(Forecast& forecast, const Planner& planner,
               const std::vector<PlannedVariant>& variants, const SessionOptions& options,
               int threads) {
  const std::size_t tuning_runs = options.config.tune
                                      ? planner.candidates().size() * planner.groups().size() *
                                            tuning_seeds(*options.config.tune, 0).size()
                                      : 0;
  const std::size_t runs_of_variant = planner.seeds().size() + tuning_runs;
  forecast.num_cells = planner.chosen().size() * planner.seeds().size();
  forecast.num_tuning_cells = planner.chosen().size() * tuning_runs;
  forecast.flops = forecast.seconds = 0;
  forecast.num_done = 0;
  for (const std::size_t i : planner.chosen()) {
    const RunFacts& facts = variants[i].facts;
    const std::size_t num_done = num_done_of(planner, variants[i], options.config, threads);
    if (facts.data_fingerprint.empty()) {
      forecast.num_done.reset();
      forecast.is_prepared = false;
    }
    if (forecast.num_done) *forecast.num_done += num_done;
    const auto steps = static_cast<double>(facts.steps.value_or(0));
    const auto step_s = forecast.variants[i].seconds_per_step;
    if (!facts.steps) forecast.flops.reset();
    if (forecast.flops)
      *forecast.flops += static_cast<double>(runs_of_variant) * steps *
                         static_cast<double>(facts.tokens_per_step) * facts.sizes.flops_per_token;
    if (!facts.steps || !step_s) forecast.seconds.reset();
    if (forecast.seconds)
      *forecast.seconds += static_cast<double>(runs_of_variant - num_done) *
                           (steps * *step_s + forecast.variants[i].other_seconds);
  }
}

}  // namespace

Forecast forecast(const SessionOptions& options, RunFactory& factory, bool measure) {
  const Planner planner(options, factory);
  planner.check();
  const int jobs = std::max(1, options.jobs), threads = std::max(1, auto_threads() / jobs);
  std::vector<PlannedVariant> variants = planner.variants(threads);
  Forecast forecast;
  forecast.baseline = planner.baseline();
  const std::optional<report::Comparison> existing = existing_comparison(options.directory);
  for (const PlannedVariant& variant : variants) {
    VariantForecast& one = forecast.variants.emplace_back(
        VariantForecast{variant.settings, variant.facts, std::nullopt});
    if (const auto known = times_of_finished_runs(options.directory, existing, variant.settings)) {
      one.seconds_per_step = known->step_s;
      one.other_seconds = known->other_s;
    }
  }
  if (measure) time_variants(forecast, planner, variants, threads);
  if (options.config.equalize == Equalize::kTime)
    set_equal_time_steps(forecast, variants, known_step_times(options.directory), measure);
  add_costs(forecast, planner, variants, options, threads);
  constexpr double kLevel = 0.05;
  const std::size_t num_compared = options.config.seeds.size() / group_size(options.config);
  if (num_compared >= 2) forecast.smallest_p = stats::smallest_p(num_compared);
  forecast.min_seeds = static_cast<std::int64_t>(stats::min_seeds(kLevel));
  if (!options.config.looks.empty()) forecast.look_levels = look_levels(options.config, kLevel);
  forecast.std = assumed_std(options.config);
  if (forecast.std) {
    const stats::Design design{
        .num_variants = static_cast<std::int64_t>(variants.size()),
        .num_seeds = static_cast<std::int64_t>(num_compared),
        .std = *forecast.std / std::sqrt(static_cast<double>(group_size(options.config))),
        .level = forecast.look_levels.empty() ? kLevel : forecast.look_levels.back()};
    forecast.detectable_difference = stats::detectable_difference(design);
    forecast.seeds_for_0_01 = stats::seeds_needed(design, 0.01);
    if (forecast.seeds_for_0_01)
      *forecast.seeds_for_0_01 *= static_cast<std::int64_t>(group_size(options.config));
  }
  return forecast;
}

}  // namespace sluice::compare
