// Turns an exhausted memory into a UserError that says what would fit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "ops/device_memory.h"
#include "train/resolve.h"

namespace sluice::run {

struct MemoryUser {
  const train::ResolvedRun& run;
  std::int64_t vocab_size = 0;
  // The end of the message, given a micro-batch that fits by the estimates of plan.
  std::function<std::string(std::int64_t)> next = {};
  // Of the GPU; tests replace it.
  std::function<ops::DeviceMemory()> memory = {};
};

// kIo: "train.micro_batch_sequences: received 64, out of GPU memory (asked for 1.2 GiB, 0.7 GiB of
// 79.6 GiB free); expected at most 32, ...", or "model: out of ..." if no micro-batch is
// expected to fit. Returns if `error` is another one.
void fail_if_out_of_memory(const std::exception& error, const MemoryUser& user);

// Calls work(), with the errors of fail_if_out_of_memory().
template <class Work>
auto with_memory_errors(const MemoryUser& user, const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    fail_if_out_of_memory(error, user);
    throw;
  }
}

// "out of GPU memory (asked for 1.2 GiB, 0.7 GiB of 79.6 GiB free)", for a command without a
// micro-batch.
std::string describe(const ops::OutOfMemory& shortage);

}  // namespace sluice::run
