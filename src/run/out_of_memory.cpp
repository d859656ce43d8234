#include "run/out_of_memory.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "run/fit_micro_batch.h"
#include "train/execution.h"

namespace sluice::run {
namespace {

// "out of GPU memory (asked for 1.2 GiB, 0.7 GiB of 79.6 GiB free)".
std::string shortage_text(const ops::OutOfMemory& error,
                          const std::optional<ops::DeviceMemory>& memory) {
  std::vector<std::string> details;
  if (error.asked_bytes) details.push_back(cat("asked for ", human_bytes(*error.asked_bytes)));
  if (memory)
    details.push_back(
        cat(human_bytes(memory->free_bytes), " of ", human_bytes(memory->total_bytes), " free"));
  else if (!error.on_gpu)
    details.push_back(cat("the machine has ", human_bytes(machine().memory_bytes)));
  std::string text = error.on_gpu ? "out of GPU memory" : "out of memory";
  for (std::size_t i = 0; i < details.size(); ++i) text += cat(i == 0 ? " (" : ", ", details[i]);
  return details.empty() ? text : text + ")";
}

// Nothing if the device does not answer; the error to report is another one.
std::optional<ops::DeviceMemory> memory_or_nothing(
    const std::function<std::optional<ops::DeviceMemory>()>& memory) {
  try {
    return memory();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::optional<ops::DeviceMemory> memory_of(const MemoryUser& user) {
  if (user.memory) return user.memory();
  const c10::Device device = train::device_of(user.run.device);
  return device.is_cpu() ? std::nullopt : std::optional(ops::memory_of(device));
}

// The largest micro-batch below the one of the run that fits by the estimates of plan.
std::optional<std::int64_t> smaller_micro_batch(const MemoryUser& user,
                                                std::uint64_t available_bytes) {
  for (const std::int64_t sequences :
       micro_batch_candidates(user.run.config.train.batch_sequences)) {
    if (sequences < user.run.micro_batch_sequences &&
        estimated_bytes(with_micro_batch(user.run, sequences), user.vocab_size) <= available_bytes)
      return sequences;
  }
  return std::nullopt;
}

}  // namespace

void fail_if_out_of_memory(const std::exception& error, const MemoryUser& user) {
  const auto shortage = ops::find_out_of_memory(error);
  if (!shortage) return;
  const std::optional<ops::DeviceMemory> memory =
      memory_or_nothing([&] { return memory_of(user); });
  const std::optional<std::int64_t> fitting =
      smaller_micro_batch(user, memory ? memory->available_bytes() : machine().memory_bytes);
  const std::string received = shortage_text(*shortage, memory);
  if (!fitting)
    fail(ExitCode::kIo, "model",
         cat(received, "; use a smaller model, shorter sequences, or more memory"));
  fail(ExitCode::kIo, "train.micro_batch_sequences",
       cat(user.run.micro_batch_sequences, ", ", received),
       cat("at most ", *fitting, user.next ? user.next(*fitting) : ""));
}

std::string describe(const ops::OutOfMemory& shortage) {
  return shortage_text(shortage, memory_or_nothing([&] {
                         return shortage.on_gpu ? std::optional(ops::memory_of(c10::kCUDA))
                                                : std::nullopt;
                       }));
}

}  // namespace sluice::run
