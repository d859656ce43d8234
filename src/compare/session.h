// One session of a comparison: what `sluice compare` does between reading its configuration and writing the report.
//
//   prepare the data → how many side by side → (equal time: time the steps) → (tuning runs, choose) → the cells, seed by seed → collect
//
// Everything that is done already is left alone, so that the same call again goes on. docs/comparison.md has the directory's layout.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "compare/compare_config.h"
#include "compare/run_factory.h"
#include "compare/runner.h"

namespace sluice::compare {

struct SessionOptions {
  CompareConfig config{};
  std::string name{}, config_text{}, command{};  // for the report: run.name, the merged YAML, how this was called
  std::filesystem::path directory{};             // run.dir
  std::vector<std::string> only{};               // variants of this session; empty: all
  std::vector<std::uint64_t> seeds{};            // likewise
  int jobs = 1;                                  // cells side by side; 0: measure what is best
  double log_interval_s = 60;
};

// The cells of this session, tuning runs included. What became of all of the comparison's is collect()'s to say.
// Errors: kUsage (a directory in use or of something else, an unknown --only or --seeds, settings that make no run, seeds that would mix machines,
// tokenizers that differ) before anything is started; what prepare and the measurements throw.
Tally run_session(const SessionOptions& options, RunFactory& factory);

// A variant as --dry-run shows it.
struct VariantForecast {
  report::Settings settings;
  RunFacts facts;
  std::optional<double> seconds_per_step;  // measured; see forecast()
  double other_seconds = 0;                // of a run: the start, evaluations and checkpoints; likewise
};

struct Forecast {
  std::vector<VariantForecast> variants;  // of the whole comparison
  std::size_t baseline = 0;
  std::size_t num_cells = 0, num_tuning_cells = 0;  // of this session
  std::optional<std::size_t> num_done;              // of both; unknown where the data is not prepared
  std::optional<double> flops;                      // of the cells of this session, those done included
  std::optional<double> seconds;                    // of the cells still to do, one after the other; preparation left out
  bool is_prepared = true;                          // the data of every variant is there: `seconds` has the evaluations
  std::optional<double> std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;
};

// What run_session() would do. Writes nothing into the directory. With `measure`, the steps of each variant are timed; else their times are those
// of finished cells, where there are any: what their processes took beyond the steps is the rest.
Forecast forecast(const SessionOptions& options, RunFactory& factory, bool measure);

}  // namespace sluice::compare
