// One session of a comparison: what `sluice compare` does between reading the configuration and
// writing the report.
//
//   1. prepare the data
//   2. choose the number of parallel runs
//   3. time the steps (equal time only)
//   4. run the tuning cells and choose values (compare.tune only)
//   5. run the cells, seed by seed
//
// Cells that are done are not run again, so repeating the call continues the comparison. See
// docs/comparison.md for the directory layout.
//
// A session for a part of the cells (part.h) trains the tuning cells of its part, and then those
// that its cells need and that nobody has trained. It waits for a cell only while another session
// trains it, so parts that run one after the other never wait.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare/compare_config.h"
#include "compare/part.h"
#include "compare/run_factory.h"
#include "compare/runner.h"

namespace sluice::compare {

// Where runs that are active at the same time run. kAuto: in threads on a GPU without MPS, where
// processes take turns; otherwise in processes.
enum class RunsIn { kAuto, kProcesses, kThreads };
constexpr auto names_of(RunsIn) {
  return std::array{std::pair{RunsIn::kAuto, std::string_view("auto")},
                    std::pair{RunsIn::kProcesses, std::string_view("processes")},
                    std::pair{RunsIn::kThreads, std::string_view("threads")}};
}

struct SessionOptions {
  CompareConfig config{};
  // For the report: run.name, the merged YAML, the command line.
  std::string name{}, config_text{}, command{};
  std::filesystem::path directory{};   // run.dir
  std::vector<std::string> only{};     // variants of this session; empty: all
  std::vector<std::uint64_t> seeds{};  // seeds of this session; empty: all
  std::optional<Part> part{};          // of these runs; the other parts may run at the same time
  int jobs = 1;                        // parallel runs; 0: choose the fastest by measurement
  RunsIn runs_in = RunsIn::kAuto;
  double log_interval_s = 60;
};

// Runs the cells of this session, tuning included, and counts them; collect() reports the whole
// comparison. Errors: kUsage before anything is started (directory in use or not a comparison's,
// unknown --only or --seeds, invalid settings, different environments within a seed, different
// tokenizers), and those of preparation and step timing.
Tally run_session(const SessionOptions& options, RunFactory& factory);

// One variant in the output of --dry-run.
struct VariantForecast {
  report::Settings settings;
  RunFacts facts;
  std::optional<double> seconds_per_step;  // measured; see forecast()
  double other_seconds = 0;  // per run, measured: startup, evaluations and checkpoints
};

struct Forecast {
  std::vector<VariantForecast> variants;  // of the whole comparison
  std::size_t baseline = 0;
  std::size_t num_cells = 0, num_tuning_cells = 0;  // of this session
  std::optional<std::size_t> num_done;              // of both; nullopt if the data is not prepared
  std::optional<double> flops;                      // of all cells of this session, done or not
  std::optional<double> seconds;  // of the remaining cells, run sequentially, data prepared
  bool is_prepared = true;        // all data is prepared, so `seconds` includes the evaluations
  std::optional<double> std, detectable_difference;
  std::optional<std::int64_t> seeds_for_0_01;  // to detect a difference of 0.01
  double smallest_p = 1;                       // that the seeds of the whole comparison can give
  std::int64_t min_seeds = 0;                  // for any significant result
  std::vector<double> look_levels;             // of each look of compare.looks
};

// Cost of run_session(). Writes nothing into the directory. Step times are measured if `measure` is
// true, otherwise taken from finished cells, if any. other_seconds is then their processes' time
// outside training steps.
Forecast forecast(const SessionOptions& options, RunFactory& factory, bool measure);

}  // namespace sluice::compare
