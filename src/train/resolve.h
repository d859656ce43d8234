// Resolves every `auto` of a configuration once. The result is saved, and a resumed run uses it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "train/run_config.h"

namespace sluice::train {

// Properties of the data that `auto` depends on.
struct DataFacts {
  std::int64_t vocab_size = 0;
  std::uint64_t windows_per_epoch = 0;
};

// A resolved run as plain values.
struct ResolvedRun {
  // as saved: without `auto` and `match`, and with its length in steps
  RunConfig config;
  std::shared_ptr<const data::Objective> objective;

  std::int64_t steps = 0, micro_batch_sequences = 0, threads = 0;
  Precision precision = Precision::kFp32;
  std::string device;
  std::int64_t evaluate_every_steps = 0;                             // 0: never
  std::uint64_t evaluation_tokens = 0, final_evaluation_tokens = 0;  // 0: all

  bool is_last(std::int64_t step) const { return step == steps; }
  // Whether a checkpoint after `step` steps is scheduled; the last step always has one.
  bool is_scheduled_save(std::int64_t step) const {
    return step % config.checkpoint.every_steps == 0;
  }
  // Whether another run of this configuration, on the same machine and software, gives the same
  // bits.
  bool is_repeatable() const { return device == "cpu" || config.train.deterministic; }
  // See distributed.reduction.
  bool is_exact() const {
    return config.distributed.reduction.value_or(device == "cpu" ? cluster::Reduction::kExact
                                                                 : cluster::Reduction::kFast) ==
           cluster::Reduction::kExact;
  }
  // See distributed.shard; of one process, nothing is divided.
  bool shards_parameters() const { return config.distributed.shard == cluster::Shard::kParameters; }
  std::int64_t tokens_per_step() const {
    return config.train.batch_sequences * objective->shape().target_length;
  }
};

// Reads a configuration that resolve() returned. kBadData if it contains `auto`.
ResolvedRun read_resolved(RunConfig config);

// The micro-batch for `auto`, given a configuration that is resolved but for it. Empty:
// choose_micro_batch().
using MicroBatchRule = std::function<std::int64_t(const RunConfig&)>;

// Resolves `config`. Fields with `auto` take the value in `stored`, the resolved configuration of a
// resumed run, if given. kUsage if the result is invalid or a device is not available.
ResolvedRun resolve(RunConfig config, const DataFacts& facts, const RunConfig* stored = nullptr,
                    const MicroBatchRule& micro_batch_rule = {});

// Sequences per pass for `auto` on a CPU. `sequence_work`: tokens of one sequence that pass through
// the network.
std::int64_t choose_micro_batch(std::int64_t batch_sequences, std::int64_t sequence_work);

}  // namespace sluice::train
