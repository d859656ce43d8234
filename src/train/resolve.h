// Every `auto` of a configuration decided, once: the result is written down, and a resumed run takes what was written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "train/run_config.h"

namespace sluice::train {

// What the decisions depend on besides the machine.
struct DataFacts {
  std::int64_t vocab_size = 0;
  std::uint64_t windows_per_epoch = 0;
};

// A run with nothing left to decide, as plain values.
struct ResolvedRun {
  RunConfig config;  // as it is written down: without `auto` and `match`, and with its length in steps
  std::shared_ptr<const data::Objective> objective;

  std::int64_t steps = 0, micro_batch_sequences = 0, threads = 0;
  Precision precision = Precision::kFp32;
  std::string device;
  std::int64_t evaluate_every_steps = 0;                             // 0: never
  std::uint64_t evaluation_tokens = 0, final_evaluation_tokens = 0;  // 0: all

  bool is_last(std::int64_t step) const { return step == steps; }
  // Whether a checkpoint after `step` steps is scheduled; the last step always has one.
  bool is_scheduled_save(std::int64_t step) const { return step % config.checkpoint.every_steps == 0; }
  std::int64_t tokens_per_step() const { return config.train.batch_sequences * objective->shape().target_length; }
};

// Of a configuration that resolve() has written down. kBadData where something is left to decide.
ResolvedRun read_resolved(RunConfig config);

// Decides what `config` leaves open. Fields left to us take the value of `stored`, the resolved
// configuration of the run that goes on, where there is one. kUsage where nothing sensible comes out, or where a device is not there.
ResolvedRun resolve(RunConfig config, const DataFacts& facts, const RunConfig* stored = nullptr);

// Sequences per pass that `auto` stands for, `sequence_work` being the tokens of one that pass through the network.
std::int64_t choose_micro_batch(std::int64_t batch_sequences, std::int64_t sequence_work);

}  // namespace sluice::train
