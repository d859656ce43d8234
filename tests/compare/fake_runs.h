// Runs without a model: a shell script, controlled by its configuration, replaces `sluice train`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/session.h"
#include "tests/base/temporary_directory.h"

namespace sluice::compare::testing {

class FakeRuns final : public RunFactory {
 public:
  explicit FakeRuns(std::filesystem::path scratch);

  void prepare(const RunRequest& request) override;
  RunFacts make(const RunRequest& request) override;
  std::vector<std::string> train_command(const std::filesystem::path& config,
                                         const std::filesystem::path& run_dir) const override;
  std::vector<std::string> measure_command(const std::filesystem::path& config) const override;
  // A bash script, which ignores the environment of its jobs and does not forward signals.
  std::vector<std::string> worker_command() const override;
  std::size_t num_workers() const;  // started so far

  // "LABEL, seed N" -> "fast" (default), "slow" (0.05 s per step), "crash", "diverge", "hang"
  // (ignores stop signals), "deaf" (terminated by them, as before handlers are installed), "silent"
  // (exit code 9), "nothing" (no result), "kill" (SIGKILL to the worker, see worker_command()).
  std::map<std::string, std::string> behavior;
  std::map<std::string, double> log_perplexity;  // "LABEL, seed N"; default 3
  std::map<std::string, double> step_s;          // by label; default 0.1
  std::map<std::string, double> other_s;         // by label; time outside steps, default 0
  double training_s = 5;                         // training time in each result
  std::map<std::string, std::string> tokenizer;  // by label
  std::string extra;                             // further settings
  std::string refused;                           // an override rejected by make(), "KEY=VALUE"
  std::string measured;                          // replaces the output of timing
  std::string before_measure;                    // shell commands of timing, without single quotes
  std::optional<GpuFacts> gpu;
  bool one_identity = false;  // all settings have the same identity
  std::int64_t steps = 10;
  ExecutionEnv env{.cpu = "Fake 9000", .device = "cpu", .precision = "fp32", .threads = 1};
  int num_prepared = 0;

 private:
  std::filesystem::path scratch_;
};

// Compares {model.ffn: [relu, geglu]}.
CompareConfig two_variants(std::vector<std::uint64_t> seeds);

// The lines of a metrics.jsonl for these steps; the log-perplexity is the step.
std::string training_lines(std::int64_t first, std::int64_t last);

// Number of starts of the run in a cell's directory.
std::size_t num_starts(const std::filesystem::path& cell);
// Directories of cells with names starting with `start`, sorted.
std::vector<std::filesystem::path> cells_like(const std::filesystem::path& directory,
                                              const std::string& start);

}  // namespace sluice::compare::testing
