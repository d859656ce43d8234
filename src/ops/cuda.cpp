#include "ops/cuda.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "base/error.h"
#include "base/text_format.h"
#include "gpu/cuda_device.h"
#include "gpu/kernel_cache.h"
#include "gpu/nvrtc.h"
#include "ops/device_memory.h"

#if __has_include(<ATen/core/GraphImplInterface.h>)
#include <ATen/core/GraphImplInterface.h>
#endif

namespace sluice::ops {
namespace {

// Everything behind one GPU; lives as long as the process.
struct Gpu {
  std::unique_ptr<gpu::Driver> driver;
  std::unique_ptr<gpu::Nvrtc> compiler;
  std::unique_ptr<gpu::KernelCache> cache;
  std::unique_ptr<gpu::CudaDevice> device;
};

gpu::DriverStream driver_stream() { return static_cast<gpu::DriverStream>(current_stream()); }

std::optional<gpu::NvrtcFacts> find_nvrtc() {
  const std::unique_ptr<gpu::Nvrtc> found = gpu::Nvrtc::open("", {});
  return found != nullptr ? std::optional(found->facts()) : std::nullopt;
}

std::unique_ptr<Gpu> open_gpu(c10::Device device) {
  const gpu::Support& support = gpu_support(device);
  require(support.usable(), ExitCode::kUsage, "train.device", device.str(),
          cat("cpu, because ", support.obstacle));
  auto made = std::make_unique<Gpu>();
  made->driver = gpu::Driver::load();
  made->compiler = gpu::Nvrtc::open("", support.target);
  invariant(made->driver != nullptr && made->compiler != nullptr,
            "the driver and NVRTC are still found");
  made->cache = std::make_unique<gpu::KernelCache>(*made->compiler, gpu::default_cache_directory());
  made->device = std::make_unique<gpu::CudaDevice>(*made->driver, *made->cache, &driver_stream);
  return made;
}

// LibTorch hands out the streams of its pool in turn, so a thread keeps the first one it gets: with
// at most kMaxStreams threads, no two have the same.
c10::Stream stream_of_thread(c10::Device device) {
  thread_local std::map<c10::DeviceIndex, c10::Stream> streams;
  const auto found = streams.find(device.index());
  if (found != streams.end()) return found->second;
  const c10::impl::VirtualGuardImpl guard(device.type());
  return streams.emplace(device.index(), guard.getStreamFromGlobalPool(device)).first->second;
}

}  // namespace

c10::Device with_index(c10::Device device) {
  return device.has_index() ? device : c10::Device(device.type(), 0);
}

gpu::TorchCuda torch_cuda() {
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCUDART()) return {};
  return {static_cast<int>(hooks.versionCUDART()), static_cast<int>(hooks.deviceCount())};
}

long cudnn_version() {
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  return hooks.hasCuDNN() ? hooks.versionRuntimeCuDNN() : 0;
}

const gpu::Support& gpu_support(c10::Device device) {
  const c10::DeviceIndex index = with_index(device).index();
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, gpu::Support> all;
  const std::lock_guard lock(mutex);
  const auto found = all.find(index);
  if (found != all.end()) return found->second;
  const std::unique_ptr<gpu::Driver> driver = gpu::Driver::load();
  return all.emplace(index, gpu::support_of(driver.get(), index, torch_cuda(), &find_nvrtc))
      .first->second;
}

gpu::Device* gpu_of(c10::Device device) {
  if (!device.is_cuda()) return nullptr;
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, std::unique_ptr<Gpu>> all;
  const std::lock_guard lock(mutex);
  std::unique_ptr<Gpu>& entry = all[with_index(device).index()];
  if (entry == nullptr) entry = open_gpu(with_index(device));
  return entry->device.get();
}

Context inference_context(c10::Device device) { return {.gpu = gpu_of(device)}; }

void* current_stream() {
  const c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
  return cuda.getStream(cuda.getDevice()).native_handle();
}

void synchronize(c10::Device device) {
  if (!device.is_cuda()) return;
  c10::impl::VirtualGuardImpl(device.type()).getStream(with_index(device)).synchronize();
}

DeviceScope::DeviceScope(c10::Device device) {
  if (!device.is_cuda()) return;
  const c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
  cuda.setDevice(with_index(device));
  stream_.emplace(stream_of_thread(with_index(device)));
}

bool records_graphs() {
  const char* setting = std::getenv("SLUICE_CUDA_GRAPHS");
  return setting == nullptr || std::string_view(setting) != "0";
}

#if __has_include(<ATen/core/GraphImplInterface.h>)

namespace {

class GraphRecorder final : public Recorder {
 public:
  explicit GraphRecorder(c10::Device device)
      : device_(device), graph_(at::create_graph_impl(device.type())) {}

  void record(const std::function<void()>& work) override {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    guard.getStream(device_).synchronize();
    // The graph has its own memory; what earlier work left in the cache would come on top.
    if (device_.is_cuda()) release_cached_memory(device_);
    // kThreadLocal: other threads (the data loader pins memory) are not restricted.
    graph_->capture_begin({0, 0}, at::GraphCaptureMode::ThreadLocal);
    try {
      work();
    } catch (...) {
      end_failed_capture();
      throw;
    }
    graph_->capture_end();
  }
  void replay() override { graph_->replay(); }

 private:
  // A stream that is still recording refuses all other work.
  void end_failed_capture() noexcept {
    try {
      graph_->capture_end();
    } catch (const std::exception&) {  // the error of the work is the one to report
    }
  }

  c10::Device device_;
  std::unique_ptr<at::GraphImplInterface> graph_;
};

}  // namespace

std::unique_ptr<Recorder> make_recorder(c10::Device device) {
  if (!records_graphs() || !at::has_graph_impl(device.type())) return nullptr;
  return std::make_unique<GraphRecorder>(device);
}

#else

std::unique_ptr<Recorder> make_recorder(c10::Device) { return nullptr; }

#endif

}  // namespace sluice::ops
