// Every `auto` of a configuration decided, once: the result is written down, and a resumed run takes what was written.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

#include "train/run_config.h"

namespace sluice::train {

// What the decisions depend on besides the machine.
struct DataFacts {
  std::int64_t vocab_size = 0;
  std::uint64_t windows_per_epoch = 0;
};

// `config` without `auto` and `match`, and with its length in steps. Fields left to us take the value of `stored`, the resolved
// configuration of the run that goes on, where there is one. kUsage where nothing sensible comes out, or where a device is not there.
RunConfig resolve(RunConfig config, const DataFacts& facts, const RunConfig* stored = nullptr);

// The parts that are needed before there are facts.
std::int64_t resolve_threads(const TrainConfig& config, const RunConfig* stored = nullptr);
std::string resolve_device(const TrainConfig& config, const RunConfig* stored = nullptr);

// Sequences per pass that `auto` stands for, `sequence_work` being the tokens of one that pass through the network.
std::int64_t choose_micro_batch(std::int64_t batch_sequences, std::int64_t sequence_work);

// The dtype of products: ops::Weight's `compute`.
c10::ScalarType compute_type(Precision precision);

// kUsage where this machine or this LibTorch has no such device.
c10::Device device_of(const std::string& name);
bool has_device(const std::string& name);

}  // namespace sluice::train
