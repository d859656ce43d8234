#include "gpu/cuda_device.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::gpu {
namespace {

// CUfunction_attribute.
constexpr int kMaxDynamicSharedBytes = 8;

}  // namespace

CudaDevice::CudaDevice(const Driver& driver, KernelCache& cache,
                       std::function<DriverStream()> current_stream)
    : driver_(driver), cache_(cache), current_stream_(std::move(current_stream)) {}

DriverFunction CudaDevice::function_of(const Kernel& kernel, std::int64_t shared_bytes) {
  const std::lock_guard lock(mutex_);
  Function& function = functions_[{kernel.program, kernel.settings, kernel.entry}];
  if (function.handle != nullptr && shared_bytes <= function.shared_bytes) return function.handle;
  DriverModule& module = modules_[{kernel.program, kernel.settings}];
  if (module == nullptr) {
    const std::string binary = cache_.binary_of(*kernel.program, kernel.settings);
    driver_.check(driver_.module_load_data(&module, binary.data()), "cuModuleLoadData");
  }
  if (function.handle == nullptr)
    driver_.check(driver_.module_get_function(&function.handle, module, kernel.entry.c_str()),
                  kernel.entry.c_str());
  if (shared_bytes > function.shared_bytes) {
    // Sizes up to 48 KiB need no permission, but asking for it does no harm.
    driver_.check(driver_.function_set_attribute(function.handle, kMaxDynamicSharedBytes,
                                                 static_cast<int>(shared_bytes)),
                  kernel.entry.c_str());
    function.shared_bytes = shared_bytes;
  }
  return function.handle;
}

void CudaDevice::launch(const Kernel& kernel, const Grid& grid,
                        std::span<const Argument> arguments) {
  constexpr std::int64_t kMostX = 2147483647, kMostOther = 65535, kMostThreads = 1024,
                         kMostSharedBytes = 227 * 1024;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  invariant(grid.x <= kMostX && grid.y <= kMostOther && grid.z <= kMostOther &&
                grid.threads <= kMostThreads && grid.shared_bytes <= kMostSharedBytes,
            cat("the grid of ", kernel.entry, " is within the limits of CUDA"));
  std::vector<void*> pointers;
  for (const Argument& argument : arguments) pointers.push_back(const_cast<void*>(argument.value));
  driver_.check(
      driver_.launch_kernel(function_of(kernel, grid.shared_bytes), static_cast<unsigned>(grid.x),
                            static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z),
                            static_cast<unsigned>(grid.threads), 1, 1,
                            static_cast<unsigned>(grid.shared_bytes), current_stream_(),
                            pointers.data(), nullptr),
      kernel.entry.c_str());
}

}  // namespace sluice::gpu
