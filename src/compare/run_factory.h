// What compare/ needs to know about runs but cannot compute without the model. Implemented by the
// application with run/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace sluice::compare {

// Differences of one run from the configuration of the comparison.
struct RunRequest {
  report::Settings settings;  // of the variant, followed by the tuning candidate
  std::size_t num_tuned = 0;  // number of settings of the candidate
  std::uint64_t seed = 0;
  std::optional<std::int64_t> steps;  // equalize: time
  bool on_tuning_split = false;
  int threads = 1;  // unless the configuration sets train.threads
  std::filesystem::path run_dir;
  std::string name;  // run.name
};

using report::ExecutionEnv;

struct GpuFacts {
  std::string name;  // "NVIDIA H200"
  std::uint64_t memory_bytes = 0;
};

struct RunFacts {
  std::string config;  // YAML for the child, every `auto` resolved
  // Settings that determine the result, as YAML: no names, paths, intervals, machine or precision.
  std::string identity;
  // The steps of the evaluations that the metric averages; empty if it is the last one alone.
  std::string averaged_steps{};
  std::string data_fingerprint;  // empty if the data is not prepared
  std::string tokenizer_hash;    // empty if the data is not prepared
  std::string held_out_hash{};   // of the evaluated split; empty if the data is not prepared
  std::string objective;         // "causal_lm"
  bool targets_are_text = true;
  ExecutionEnv env;
  std::optional<GpuFacts> gpu{};  // nullopt on a CPU
  report::VariantSizes sizes;
  std::optional<std::int64_t> steps;  // nullopt if they depend on data that is not prepared
  std::int64_t tokens_per_step = 0;
};

class RunFactory {
 public:
  virtual ~RunFactory() = default;
  // Prepares the data of the run unless it is prepared. Polls base/signals.h.
  virtual void prepare(const RunRequest& request) = 0;
  // Reads and checks the configuration without preparing data. kUsage lists all problems.
  virtual RunFacts make(const RunRequest& request) = 0;
  // Arguments of a command that trains `config` with --resume, and of one that times its steps and
  // prints JSON with seconds_per_step and, on a GPU, measured_peak_gpu_memory_bytes.
  virtual std::vector<std::string> train_command(const std::filesystem::path& config,
                                                 const std::filesystem::path& run_dir) const = 0;
  virtual std::vector<std::string> measure_command(const std::filesystem::path& config) const = 0;
  // Arguments of a process that does the same for several configurations at once, in threads; see
  // executor.h.
  virtual std::vector<std::string> worker_command() const = 0;
};

}  // namespace sluice::compare
