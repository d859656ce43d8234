// Runs without a model: a shell script stands for `sluice train`, told by its configuration how to behave.
#pragma once

#include <map>
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
  std::vector<std::string> train_command(const std::filesystem::path& config, const std::filesystem::path& run_dir) const override;
  std::vector<std::string> measure_command(const std::filesystem::path& config) const override;

  // "LABEL, seed N" -> "fast" (the default), "slow" (0.05 s a step), "crash", "diverge", "hang" (ignores SIGTERM), "deaf" (ends by
  // it, as before the handlers are there), "silent" (exit 9), "nothing" (no result).
  std::map<std::string, std::string> behaviour;
  std::map<std::string, double> log_perplexity;  // "LABEL, seed N"; 3 where not named
  std::map<std::string, double> step_s;          // by label; 0.1 where not named
  std::map<std::string, double> other_s;         // by label: what timing says of a run but for its steps; 0 where not named
  double training_s = 5;                         // what a run says it spent in its steps
  std::map<std::string, std::string> tokenizer;  // by label
  std::string extra;                             // of the settings: a changed configuration
  std::string refused;                           // an override that make() refuses, "KEY=VALUE"
  std::string measured;                          // what timing prints instead of a figure
  bool one_identity = false;                     // all settings are the same in other words
  std::int64_t steps = 10;
  ExecutionEnv maker{.cpu = "Fake 9000", .device = "cpu", .precision = "fp32", .threads = 1};
  int num_prepared = 0;

 private:
  std::filesystem::path scratch_;
};

// `seeds` under which {model.ffn: [relu, geglu]} is compared.
CompareConfig two_variants(std::vector<std::uint64_t> seeds);

// How often the run in a cell's directory was started.
std::size_t num_starts(const std::filesystem::path& cell);
// The cells' directories whose name starts so.
std::vector<std::filesystem::path> cells_like(const std::filesystem::path& directory, const std::string& start);

}  // namespace sluice::compare::testing
