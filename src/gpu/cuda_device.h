// A CUDA GPU: launches kernels through the driver.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "gpu/device.h"
#include "gpu/driver.h"
#include "gpu/kernel_cache.h"

namespace sluice::gpu {

// Kernels are loaded into the context that is current at their first launch: LibTorch's, once a
// tensor is on the device. Launches may come from several threads.
class CudaDevice final : public Device {
 public:
  // Borrowed: driver and cache. `current_stream`: LibTorch's, asked at each launch.
  CudaDevice(const Driver& driver, KernelCache& cache,
             std::function<DriverStream()> current_stream);
  void launch(const Kernel& kernel, const Grid& grid, std::span<const Argument> arguments) override;

 private:
  struct Function {
    DriverFunction handle = nullptr;
    std::int64_t shared_bytes = 0;  // allowed so far
  };
  DriverFunction function_of(const Kernel& kernel, std::int64_t shared_bytes);

  const Driver& driver_;
  KernelCache& cache_;
  std::function<DriverStream()> current_stream_;
  std::mutex mutex_;
  std::map<std::pair<const Program*, std::string>, DriverModule> modules_;
  std::map<std::tuple<const Program*, std::string, std::string>, Function> functions_;
};

}  // namespace sluice::gpu
