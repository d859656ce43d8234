// The CUDA GPU that LibTorch uses, as a device for this project's kernels.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

#include <functional>
#include <memory>
#include <optional>

#include "gpu/device.h"
#include "gpu/support.h"
#include "ops/context.h"

namespace sluice::ops {

// Compiles kernels at their first launch and keeps them in gpu::default_cache_directory().
// nullptr for a CPU. kUsage if the GPU cannot be used (gpu_support).
gpu::Device* gpu_of(c10::Device device);
// Whether a GPU can be used. Asked once per process; starts the driver.
const gpu::Support& gpu_support(c10::Device device);
// Options of a forward pass without training.
Context inference_context(c10::Device device);

// What LibTorch says, without starting a device.
gpu::TorchCuda torch_cuda();
long cudnn_version();  // of the loaded library, 91900 for 9.19.0; 0: none

// `device` with the number that LibTorch uses if it has none: 0.
c10::Device with_index(c10::Device device);

// The CUstream to which LibTorch sends the work of this thread on the current GPU.
void* current_stream();

// Waits for the work on the current stream of the device. No effect for a CPU.
void synchronize(c10::Device device);

// Until destroyed, work of this thread goes to `device` and to a stream other than the default one,
// which cannot be recorded. The stream is this thread's own if at most kMaxStreams threads ever use
// the device: what another thread starts on it would be recorded, too. No effect for a CPU.
inline constexpr int kMaxStreams = 32;  // of LibTorch's pool, per device
class DeviceScope {
 public:
  explicit DeviceScope(c10::Device device);

 private:
  std::optional<c10::StreamGuard> stream_;
};

// Records work on a device once and repeats it without its host part: a CUDA graph. All tensors
// that the work creates stay allocated, and repeating it overwrites them.
class Recorder {
 public:
  virtual ~Recorder() = default;
  // Calls work() and records what it starts on the current stream, without running it. The work
  // has run before, so that everything it loads is loaded.
  virtual void record(const std::function<void()>& work) = 0;
  virtual void replay() = 0;
};
// False if the environment variable SLUICE_CUDA_GRAPHS is 0.
bool records_graphs();
// nullptr if LibTorch has no graphs for the device, or if !records_graphs().
std::unique_ptr<Recorder> make_recorder(c10::Device device);

}  // namespace sluice::ops
