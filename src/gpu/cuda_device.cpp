#include "gpu/cuda_device.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::gpu {

CudaDevice::CudaDevice(const Driver& driver, KernelCache& cache,
                       std::function<DriverStream()> current_stream)
    : driver_(driver), cache_(cache), current_stream_(std::move(current_stream)) {}

DriverFunction CudaDevice::function_of(const Kernel& kernel) {
  const std::lock_guard lock(mutex_);
  DriverFunction& function = functions_[{kernel.program, kernel.settings, kernel.entry}];
  if (function != nullptr) return function;
  DriverModule& module = modules_[{kernel.program, kernel.settings}];
  if (module == nullptr) {
    const std::string binary = cache_.binary_of(*kernel.program, kernel.settings);
    driver_.check(driver_.module_load_data(&module, binary.data()), "cuModuleLoadData");
  }
  driver_.check(driver_.module_get_function(&function, module, kernel.entry.c_str()),
                kernel.entry.c_str());
  return function;
}

void CudaDevice::launch(const Kernel& kernel, const Grid& grid,
                        std::span<const Argument> arguments) {
  constexpr std::int64_t kMostX = 2147483647, kMostOther = 65535, kMostThreads = 1024;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  invariant(grid.x <= kMostX && grid.y <= kMostOther && grid.z <= kMostOther &&
                grid.threads <= kMostThreads,
            cat("the grid of ", kernel.entry, " is within the limits of CUDA"));
  std::vector<void*> pointers;
  for (const Argument& argument : arguments) pointers.push_back(const_cast<void*>(argument.value));
  driver_.check(driver_.launch_kernel(function_of(kernel), static_cast<unsigned>(grid.x),
                                      static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z),
                                      static_cast<unsigned>(grid.threads), 1, 1, 0,
                                      current_stream_(), pointers.data(), nullptr),
                kernel.entry.c_str());
}

}  // namespace sluice::gpu
