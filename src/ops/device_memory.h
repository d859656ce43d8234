// Memory of a GPU, and the errors of LibTorch when memory is exhausted.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <exception>
#include <optional>

namespace sluice::ops {

// `reserved_bytes`: held by LibTorch in this process, in use or cached.
struct DeviceMemory {
  std::uint64_t free_bytes = 0, total_bytes = 0, reserved_bytes = 0;
  // What tensors of this process can use.
  std::uint64_t available_bytes() const { return free_bytes + reserved_bytes; }
};
// Of a device with a caching allocator, not of a CPU. Creates the driver's context.
DeviceMemory memory_of(c10::Device device);
// The most that LibTorch has held there since the process started.
std::uint64_t peak_reserved_bytes(c10::Device device);
// Returns cached memory that no tensor uses. No effect for a CPU.
void release_cached_memory(c10::Device device);

// Whether LibTorch, cuBLAS, cuDNN or the CUDA driver failed for lack of memory.
struct OutOfMemory {
  bool on_gpu = false;
  std::optional<std::uint64_t> asked_bytes;  // if the error states it
};
std::optional<OutOfMemory> find_out_of_memory(const std::exception& error);

}  // namespace sluice::ops
