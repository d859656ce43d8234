#include "ops/device_memory.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "base/error.h"
#include "ops/cuda.h"

namespace sluice::ops {
namespace {

constexpr auto kAllPools = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);

// Ready to answer: LibTorch prepares a device at its first use.
c10::DeviceAllocator& allocator_of(c10::Device device) {
  c10::DeviceAllocator& allocator = *c10::getDeviceAllocator(device.type());
  if (!allocator.initialized()) at::globalContext().lazyInitDevice(device.type());
  return allocator;
}

// "Tried to allocate 2.00 GiB." of a GPU, "tried to allocate 64 bytes." of the CPU.
std::optional<std::uint64_t> asked_bytes(std::string_view text) {
  constexpr std::string_view kTried = "ried to allocate ";
  const std::size_t at = text.find(kTried);
  if (at == text.npos) return std::nullopt;
  const std::string rest(text.substr(at + kTried.size(), 40));
  char* end = nullptr;
  const double number = std::strtod(rest.c_str(), &end);
  const std::string_view unit(end);
  if (end == rest.c_str() || !(number >= 0 && number < 1e18)) return std::nullopt;
  for (const auto& [name, factor] : {std::pair{" bytes", 0}, std::pair{" KiB", 10},
                                     std::pair{" MiB", 20}, std::pair{" GiB", 30}})
    if (unit.starts_with(name)) return static_cast<std::uint64_t>(std::ldexp(number, factor));
  return std::nullopt;
}

bool contains_one_of(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return text.find(part) != text.npos; });
}

}  // namespace

DeviceMemory memory_of(c10::Device device) {
  c10::DeviceAllocator& allocator = allocator_of(device);
  const auto [free, total] = allocator.getMemoryInfo(with_index(device).index());
  const auto stats = allocator.getDeviceStats(with_index(device).index());
  return {free, total, static_cast<std::uint64_t>(stats.reserved_bytes[kAllPools].current)};
}

std::uint64_t peak_reserved_bytes(c10::Device device) {
  const auto stats = allocator_of(device).getDeviceStats(with_index(device).index());
  return static_cast<std::uint64_t>(stats.reserved_bytes[kAllPools].peak);
}

void release_cached_memory(c10::Device device) {
  if (!device.is_cpu()) allocator_of(device).emptyCache();
}

std::optional<OutOfMemory> find_out_of_memory(const std::exception& error) {
  if (typeid(error) == typeid(UserError)) return std::nullopt;  // explained already
  const std::string_view text = error.what();
  const bool on_gpu =
      typeid(error) == typeid(c10::OutOfMemoryError) ||
      contains_one_of(text, {"CUDA out of memory", "CUDA error: out of memory",
                             "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
                             "DEVICE_ALLOCATION_FAILED", "not error 2 (out of memory)"});
  const bool on_cpu =
      contains_one_of(text, {"DefaultCPUAllocator", "not enough memory", "alloc_cpu.cpp",
                             "std::bad_alloc", "std::bad_array_new_length"});
  if (!on_gpu && !on_cpu) return std::nullopt;
  return OutOfMemory{on_gpu, asked_bytes(text)};
}

}  // namespace sluice::ops
