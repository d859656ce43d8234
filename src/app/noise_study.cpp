#include "app/noise_study.h"

#include <algorithm>
#include <iostream>

#include "app/comparison_runs.h"
#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/grid.h"
#include "compare/session.h"
#include "config/names.h"
#include "report/text_table.h"
#include "stats/spread.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

// One source of randomness: the runs of one or several comparisons.
struct Source {
  std::string name;
  std::string key = {};                    // varied over the seeds
  std::vector<std::int64_t> threads = {};  // or one run for each
  bool varies_seed = false;                // or run.seed itself
};

bool has_dropout(const train::RunConfig& config) {
  return std::visit([](const auto& model) { return model.dropout > 0; }, config.model);
}

std::vector<Source> sources_of(const ComparisonConfig& config) {
  std::vector<Source> sources{{"initial_values", "run.seeds.initial_values"},
                              {"data_order", "run.seeds.data_order"}};
  if (has_dropout(config.run)) {
    sources.push_back({"dropout_masks", "run.seeds.dropout_masks"});
  };
  const auto num_seeds = static_cast<std::int64_t>(config.compare->seeds.size());
  Source rounding{"rounding"};
  for (std::int64_t n = 1; n <= std::min<std::int64_t>(num_seeds, machine().num_cpus); ++n)
    rounding.threads.push_back(n);
  if (rounding.threads.size() > 1 && config.run.train.device.value_or("cpu") == "cpu")
    sources.push_back(std::move(rounding));
  sources.push_back({.name = "all", .varies_seed = true});
  return sources;
}

// Runs one comparison in `directory` and returns the metric of its finished runs.
class Study {
 public:
  Study(const CompareOptions& options, const ComparisonConfig& config)
      : options_(options),
        config_(config),
        baseline_(compare::expand(config.compare->vary)[compare::baseline_of(*config.compare)]) {}

  const report::Settings& baseline() const { return baseline_; }

  std::vector<double> run(const Source& source) {
    const std::vector<std::uint64_t>& seeds = config_.compare->seeds;
    if (source.varies_seed) return run_in(source.name, {}, seeds);
    if (!source.key.empty()) {
      std::vector<config::Word> words;
      for (const std::uint64_t seed : seeds) words.push_back({cat(seed)});
      return run_in(source.name, {{source.key, words}}, {seeds.front()});
    }
    std::vector<double> values;
    for (const std::int64_t n : source.threads) {
      threads_ = n;
      const std::vector<double> one = run_in(cat(source.name, "-", n), {}, {seeds.front()});
      values.insert(values.end(), one.begin(), one.end());
    }
    threads_.reset();
    return values;
  }

 private:
  std::vector<double> run_in(const std::string& name,
                             std::vector<std::pair<std::string, std::vector<config::Word>>> vary,
                             std::vector<std::uint64_t> seeds) {
    const fs::path directory = fs::path(config_.run.run.dir) / "noise" / name;
    ConfigOptions changed = options_.config;
    for (const std::string& setting : compare::overrides_of(baseline_))
      changed.overrides.push_back(setting);
    if (threads_) changed.overrides.push_back(cat("train.threads=", *threads_));
    compare::CompareConfig compared = *config_.compare;
    // Without a key that varies, the baseline's own value of the first one is the only variant.
    if (vary.empty()) vary = {{baseline_.front().first, {{baseline_.front().second}}}};
    compared.vary.items = std::move(vary);
    compared.seeds = std::move(seeds);
    compared.baseline = {};
    compared.looks.clear();
    compared.margin.reset();
    compared.tune.reset();
    ComparisonConfig described = config_;
    described.compare = compared;
    ComparisonRuns runs(changed);
    const compare::Tally tally =
        compare::run_session({.config = compared,
                              .name = cat(config_.run.run.name, ", noise: ", name),
                              .config_text = config::to_yaml(described, config::Comments::kNone),
                              .command = options_.command_line,
                              .directory = directory,
                              .jobs = options_.jobs,
                              .runs_in = options_.runs_in,
                              .log_interval_s = config_.run.train.log_interval.count},
                             runs);
    if (tally.interrupted)
      fail(ExitCode::kInterrupted, directory.string(),
           "stopped; what is saved is kept, repeat the command to continue");
    if (tally.num_failed > 0)
      fail(static_cast<ExitCode>(tally.worst_code), directory.string(),
           cat(count_of(static_cast<std::int64_t>(tally.num_failed), "failed run"),
               "; see their output.txt; repeat the command to retry"));
    const report::Comparison comparison = compare::collect(std::span(&directory, 1));
    std::vector<double> values;
    for (const report::CellResult& cell : comparison.cells)
      if (const auto value = report::metric_value(comparison, cell)) values.push_back(*value);
    return values;
  }

  const CompareOptions& options_;
  const ComparisonConfig& config_;
  report::Settings baseline_;
  std::optional<std::int64_t> threads_;
};

NoiseRecord record_of(const std::string& source, std::vector<double> values) {
  NoiseRecord record{.source = source, .values = std::move(values)};
  if (record.values.size() < 2) return record;
  const stats::Spread spread = stats::spread_of(record.values);
  record.std = spread.std;
  record.std_low = spread.interval.low;
  record.std_high = spread.interval.high;
  return record;
}

void add_shares(std::vector<NoiseRecord>& records) {
  const std::optional<double> all = records.back().std;
  if (!all || *all <= 0) return;
  for (NoiseRecord& one : records)
    if (one.std) one.share = *one.std * *one.std / (*all * *all);
}

report::TextTable table_of(const NoiseOutput& output) {
  report::TextTable table{
      .columns = {{"source", false}, {"runs"}, {"std"}, {"95 % interval"}, {"share of variance"}},
      .rows = {}};
  for (const NoiseRecord& one : output.sources)
    table.rows.push_back(
        {one.source, cat(one.values.size()), one.std ? fixed(*one.std, 5) : "-",
         one.std ? cat(fixed(*one.std_low, 5), " to ", fixed(*one.std_high, 5)) : "-",
         one.share ? cat(fixed(100 * *one.share, 1), " %") : "-"});
  return table;
}

}  // namespace

void noise_command(const CompareOptions& options, const ComparisonConfig& config) {
  require(config.compare->seeds.size() >= 2, ExitCode::kUsage, "compare.seeds",
          count_of(static_cast<std::int64_t>(config.compare->seeds.size()), "seed"),
          "at least 2 for --noise");
  Study study(options, config);
  NoiseOutput output{.variant = report::label_of(study.baseline()),
                     .metric = std::string(config::name_of(config.compare->metric))};
  for (const Source& source : sources_of(config))
    output.sources.push_back(record_of(source.name, study.run(source)));
  add_shares(output.sources);
  const std::string json = config::to_json(output);
  real_files().write_atomically(fs::path(config.run.run.dir) / "noise" / "noise.json", json);
  if (options.json) {
    std::cout << json;
    return;
  }
  std::cout << output.variant << ", " << output.metric << "\n"
            << report::console_text_table(table_of(output));
}

}  // namespace sluice::app
