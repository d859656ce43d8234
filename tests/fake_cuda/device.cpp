// LibTorch's interfaces of a device: allocators, hooks, streams, graphs.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/fake_cuda/card.h"

#if __has_include(<ATen/core/GraphImplInterface.h>)
#include <ATen/core/GraphImplInterface.h>
#endif

namespace at {
namespace {

using sluice::fake_cuda::Card;
using sluice::fake_cuda::kDevice;

class FakeAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = Card::instance().allocate(bytes);
    return {block, block, &FakeAllocator::free, kDevice};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &FakeAllocator::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    Card::instance().run([=] { std::memcpy(to, from, bytes); });
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override { Card::instance().release_cache(); }
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    auto& reserved = stats.reserved_bytes[0];
    reserved.current = static_cast<std::int64_t>(Card::instance().reserved_bytes());
    reserved.peak = static_cast<std::int64_t>(Card::instance().peak_reserved_bytes());
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override {
    const Card& card = Card::instance();
    return {card.total_bytes() - card.reserved_bytes(), card.total_bytes()};
  }

 private:
  static void free(void* block) { Card::instance().release(block); }
};

class PinnedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = std::malloc(bytes);
    const std::lock_guard lock(mutex());
    blocks().insert(block);
    return {block, block, &PinnedAllocator::free, c10::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &PinnedAllocator::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  static bool contains(const void* address) {
    const std::lock_guard lock(mutex());
    return blocks().count(const_cast<void*>(address)) > 0;
  }

 private:
  static std::mutex& mutex() {
    static auto* const mutex = new std::mutex;
    return *mutex;
  }
  static std::set<void*>& blocks() {
    static auto* const blocks = new std::set<void*>;
    return *blocks;
  }
  static void free(void* block) {
    const std::lock_guard lock(mutex());
    blocks().erase(block);
    std::free(block);
  }
};

FakeAllocator& device_allocator() {
  static auto* const allocator = new FakeAllocator;
  return *allocator;
}
const bool kAllocatorIsSet = [] {
  c10::SetAllocator(c10::kCUDA, &device_allocator());
  return true;
}();

// LibTorch looks for this name.
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  long versionCUDART() const override { return 13000; }
  bool hasCuDNN() const override { return dlopen("libcudnn.so.9", RTLD_NOW) != nullptr; }
  long versionRuntimeCuDNN() const override { return 91900; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
  bool isPinnedPtr(const void* data) const override { return PinnedAllocator::contains(data); }
  Allocator* getPinnedMemoryAllocator() const override {
    static auto* const allocator = new PinnedAllocator;
    return allocator;
  }
  Allocator* getCUDADeviceAllocator() const override { return &device_allocator(); }
  Device getDeviceFromPtr(void*) const override { return kDevice; }
  void deviceSynchronize(DeviceIndex) const override {}
};
REGISTER_CUDA_HOOKS(CUDAHooks)

// Streams are numbers: 0 is the default one, and the pool hands out 1 to 32 in turn.
struct FakeGuard final : c10::impl::DeviceGuardImplInterface {
  using Stream = c10::Stream;
  static Stream stream_of(c10::StreamId id) { return Stream(Stream::UNSAFE, kDevice, id); }

  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  Stream getStream(c10::Device) const override { return stream_of(Card::current_stream()); }
  Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    static std::atomic<int> num_given = 0;
    return stream_of(1 + num_given++ % 32);
  }
  Stream exchangeStream(Stream stream) const override {
    return stream_of(std::exchange(Card::current_stream(), stream.id()));
  }
  void* getStreamNativeHandle(Stream stream) const override {
    return reinterpret_cast<void*>(stream.id());
  }
  void record(void**, const Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream& stream) const override {
    TORCH_CHECK(!Card::instance().is_captured(stream.id()),
                "CUDA error: operation not permitted when stream is capturing: waiting for it");
  }
  bool isStreamCapturing(const Stream& stream) const override {
    return Card::instance().is_captured(stream.id());
  }
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, FakeGuard)

#if __has_include(<ATen/core/GraphImplInterface.h>)

class FakeGraph final : public GraphImplInterface {
 public:
  explicit FakeGraph(const GraphImplArgs&) {}
  ~FakeGraph() override { Card::instance().discard(*recording_); }
  void capture_begin(MempoolId_t, GraphCaptureMode) override {
    Card::instance().begin_capture(recording_);
  }
  void capture_end() override { Card::instance().end_capture(); }
  void instantiate() override {}
  void replay() override { Card::instance().replay(*recording_); }
  void reset() override { Card::instance().discard(*recording_); }
  MempoolId_t pool() const override { return {0, 0}; }
  void enable_debug_mode() override {}
  void debug_dump(const std::string&) override {}

 private:
  std::shared_ptr<sluice::fake_cuda::Recording> recording_ =
      std::make_shared<sluice::fake_cuda::Recording>();
};
REGISTER_GRAPH_IMPL(CUDA, FakeGraph)

#endif

}  // namespace
}  // namespace at
