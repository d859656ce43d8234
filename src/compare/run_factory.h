// What compare/ must know about a run and cannot find out without the model: the application implements it with train/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/field.h"
#include "report/comparison.h"

namespace sluice::compare {

// What makes one run differ from the comparison's file.
struct RunRequest {
  report::Settings settings;  // of the variant, then of the tuning candidate
  std::size_t num_tuned = 0;  // how many of these are the candidate's
  std::uint64_t seed = 0;
  std::optional<std::int64_t> steps;  // equalize: time
  bool on_tuning_split = false;
  int threads = 1;                // where the file leaves them to us
  std::filesystem::path run_dir;  // of the run
  std::string name;               // for people
};

// How and on what a run is done here; none of it may differ within a seed, since each changes the order of a sum somewhere.
struct ExecutionEnv {
  std::string cpu, device, precision;
  std::int64_t threads = 0, micro_batch_sequences = 0;
  friend bool operator==(const ExecutionEnv&, const ExecutionEnv&) = default;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{field<&ExecutionEnv::cpu>("Processor model."), field<&ExecutionEnv::device>("cpu or cuda."),
                      field<&ExecutionEnv::precision>("fp32 or bf16."), field<&ExecutionEnv::threads>("Threads."),
                      field<&ExecutionEnv::micro_batch_sequences>("Sequences in a micro-batch; 0: not known.", config::MayBeMissing{})};
  }
};

struct RunFacts {
  std::string config;    // YAML of the run, every `auto` decided: what the child reads
  std::string identity;  // the settings that determine the result, as YAML: no names, places, cadences, machine; the precision left out
  std::string data_fingerprint;  // empty where the data is not prepared
  std::string tokenizer_hash;    // likewise
  std::string objective;         // "causal_lm"
  bool targets_are_text = true;
  ExecutionEnv maker;
  std::int64_t num_parameters = 0, d_ff = 0;
  double d_ff_mismatch = 0, multiply_adds_per_token = 0, flops_per_token = 0;
  std::optional<std::int64_t> steps;  // unknown where they follow from data that is not prepared
  std::int64_t tokens_per_step = 0;
};

class RunFactory {
 public:
  virtual ~RunFactory() = default;
  // Prepares the data of the runs to come, once. Polls base/signals.h.
  virtual void prepare(const RunRequest& request) = 0;
  // Reads and checks the configuration; does not prepare. kUsage with every problem of it.
  virtual RunFacts make(const RunRequest& request) = 0;
  // The words of a command that trains, resuming, what lies in `config`; that times its steps and prints JSON with seconds_per_step.
  virtual std::vector<std::string> train_command(const std::filesystem::path& config, const std::filesystem::path& run_dir) const = 0;
  virtual std::vector<std::string> measure_command(const std::filesystem::path& config) const = 0;
};

}  // namespace sluice::compare
