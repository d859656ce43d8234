// forecast() of session.h.
#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "compare/collect.h"
#include "compare/planner.h"
#include "compare/tuning.h"
#include "report/analysis.h"
#include "stats/power.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

// Means of the finished cells of a comparison that was begun in `directory`. A cell that was interrupted counts by its last start.
std::optional<RunTime> known_times(const fs::path& directory, const std::optional<report::Comparison>& begun,
                                   const report::Settings& settings) {
  if (!begun) return std::nullopt;
  double seconds = 0, steps = 0, other = 0, cells = 0;
  for (const report::Cell& cell : begun->cells) {
    if (cell.settings != settings || cell.status != report::CellStatus::kFinished) continue;
    const auto record = read_record(directory / cell.directory / "cell.json");
    seconds += cell.training_seconds;
    steps += static_cast<double>(cell.steps);
    other += record ? std::max(0.0, record->wall_seconds - cell.training_seconds) : 0.0;
    ++cells;
  }
  return steps > 0 ? std::optional(RunTime{.step_s = seconds / steps, .other_s = other / cells}) : std::nullopt;
}

// The next session rewrites a damaged one.
std::optional<report::Comparison> begun_in(const fs::path& directory) {
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

std::optional<double> assumed_std(const CompareConfig& config) {
  if (!config.assumed_std) return std::nullopt;
  if (const auto number = assumed_number(*config.assumed_std)) return number;
  const std::vector<fs::path> pilot{*config.assumed_std};
  const report::Comparison comparison = collect(pilot);
  const auto std = report::analyse(comparison).summary.residual_std;
  require(std.has_value(), ExitCode::kUsage, "compare.assumed_std", *config.assumed_std,
          "a number, or a comparison with at least two variants finished under two seeds");
  return std;
}

// A directory of this process, gone afterwards.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "sluice-XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr, ExitCode::kIo, name, "a directory that cannot be made", "room for temporary files (TMPDIR)");
    path_ = name;
  }
  ~Scratch() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void time_variants(Forecast& forecast, const Planner& planner, const std::vector<PlannedVariant>& variants, int threads) {
  const Scratch scratch;
  std::vector<Timed> timed;
  for (const PlannedVariant& variant : variants) timed.push_back(planner.timed(variant, threads, scratch.path()));
  std::vector<double> other_s(timed.size(), std::numeric_limits<double>::infinity());
  const std::vector<StepTime> times = measure_in_turns(timed.size(), [&](std::size_t i) {
    const RunTime reading = measure(timed[i], 1, scratch.path());
    other_s[i] = std::min(other_s[i], reading.other_s);
    return reading.step_s;
  });
  if (const std::string busy = disturbance(timed, times); !busy.empty()) log::warn(cat(busy, "; an idle one gives other figures"));
  for (std::size_t i = 0; i < times.size(); ++i) {
    forecast.variants[i].seconds_per_step = times[i].lowest_s;
    forecast.variants[i].other_seconds = other_s[i];
  }
}

// Steps as a session would set them (step_times()): by the times it has written down, else by what it would measure, where that was measured here.
void give_equal_time(Forecast& forecast, std::vector<PlannedVariant>& variants, const std::map<std::string, double>& known, bool measured) {
  const auto known_s = [&](std::size_t i) {
    const auto time = known.find(variants[i].hash);
    return time == known.end() ? std::nullopt : std::optional(time->second);
  };
  const auto measured_s = [&](std::size_t i) { return measured ? forecast.variants[i].seconds_per_step : std::nullopt; };
  const auto baseline_steps = variants[forecast.baseline].facts.steps;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const bool is_known = known_s(i) && known_s(forecast.baseline);
    const auto step_s = is_known ? known_s(i) : measured_s(i);
    const auto baseline_s = is_known ? known_s(forecast.baseline) : measured_s(forecast.baseline);
    auto& steps = variants[i].facts.steps;
    steps.reset();
    if (baseline_steps && baseline_s && step_s) variants[i].steps = steps = steps_in_equal_time(*baseline_steps, *baseline_s, *step_s);
    forecast.variants[i].facts.steps = steps;
  }
}

std::size_t num_done_of(std::span<const Cell> cells) {
  return static_cast<std::size_t>(
      std::count_if(cells.begin(), cells.end(), [](const Cell& cell) { return is_settled(cell, record_of(cell)); }));
}

// The session's settled runs of one variant. With compare.tune its values are known once all of its tuning runs are.
std::size_t num_done_of(const Planner& planner, const PlannedVariant& variant, const std::optional<TuneConfig>& tune, int threads) {
  std::size_t num_done = 0;
  std::optional<report::Settings> values = report::Settings{};
  if (tune) {
    const std::vector<Cell> tuning = planner.tuning_cells(variant, threads);
    num_done += num_done_of(tuning);
    values = choice_of(tuning, *tune).values;
  }
  if (!values) return num_done;
  for (const std::uint64_t seed : planner.seeds()) num_done += num_done_of(std::array{planner.cell(variant, *values, seed, threads)});
  return num_done;
}

// The cost of the session's cells, as far as steps and times are known.
void add_costs(Forecast& forecast, const Planner& planner, const std::vector<PlannedVariant>& variants, const SessionOptions& options,
               int threads) {
  const std::size_t tuning_runs = options.config.tune ? planner.candidates().size() * options.config.tune->seeds.size() : 0;
  const std::size_t runs_of_variant = planner.seeds().size() + tuning_runs;
  forecast.num_cells = planner.chosen().size() * planner.seeds().size();
  forecast.num_tuning_cells = planner.chosen().size() * tuning_runs;
  forecast.flops = forecast.seconds = 0;
  forecast.num_done = 0;
  for (const std::size_t i : planner.chosen()) {
    const RunFacts& facts = variants[i].facts;
    const std::size_t num_done = num_done_of(planner, variants[i], options.config.tune, threads);
    if (facts.data_fingerprint.empty()) {
      forecast.num_done.reset();
      forecast.is_prepared = false;
    }
    if (forecast.num_done) *forecast.num_done += num_done;
    const auto steps = static_cast<double>(facts.steps.value_or(0));
    const auto step_s = forecast.variants[i].seconds_per_step;
    if (!facts.steps) forecast.flops.reset();
    if (forecast.flops)
      *forecast.flops += static_cast<double>(runs_of_variant) * steps * static_cast<double>(facts.tokens_per_step) * facts.flops_per_token;
    if (!facts.steps || !step_s) forecast.seconds.reset();
    if (forecast.seconds)
      *forecast.seconds += static_cast<double>(runs_of_variant - num_done) * (steps * *step_s + forecast.variants[i].other_seconds);
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
  const std::optional<report::Comparison> begun = begun_in(options.directory);
  for (const PlannedVariant& variant : variants) {
    VariantForecast& one = forecast.variants.emplace_back(VariantForecast{variant.settings, variant.facts, std::nullopt});
    if (const auto known = known_times(options.directory, begun, variant.settings)) {
      one.seconds_per_step = known->step_s;
      one.other_seconds = known->other_s;
    }
  }
  if (measure) time_variants(forecast, planner, variants, threads);
  if (options.config.equalize == Equalize::kTime) give_equal_time(forecast, variants, known_step_times(options.directory), measure);
  add_costs(forecast, planner, variants, options, threads);
  forecast.std = assumed_std(options.config);
  if (forecast.std) {
    const stats::Design design{.num_variants = static_cast<std::int64_t>(variants.size()),
                               .num_seeds = static_cast<std::int64_t>(options.config.seeds.size()),
                               .std = *forecast.std};
    forecast.detectable_difference = stats::detectable_difference(design);
    forecast.seeds_for_a_hundredth = stats::seeds_needed(design, 0.01);
  }
  return forecast;
}

}  // namespace sluice::compare
