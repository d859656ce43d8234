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

class FakeAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = Card::current().allocate(bytes);
    return {block, block, &FakeAllocator::free, Card::current().device()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &FakeAllocator::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    Card::current().run([=] { std::memcpy(to, from, bytes); });
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override { Card::current().release_cache(); }
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex index) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    auto& reserved = stats.reserved_bytes[0];
    reserved.current = static_cast<std::int64_t>(Card::of(index).reserved_bytes());
    reserved.peak = static_cast<std::int64_t>(Card::of(index).peak_reserved_bytes());
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex index) override {
    const Card& card = Card::of(index);
    return {card.total_bytes() - card.reserved_bytes(), card.total_bytes()};
  }

 private:
  static void free(void* block) {
    if (block != nullptr) Card::owner(block).release(block);
  }
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
  int getNumGPUs() const override { return Card::count(); }
  DeviceIndex deviceCount() const override { return static_cast<DeviceIndex>(Card::count()); }
  DeviceIndex current_device() const override { return Card::current_index(); }
  void setCurrentDevice(DeviceIndex index) const override { Card::current_index() = index; }
  DeviceIndex getCurrentDevice() const override { return Card::current_index(); }
  DeviceIndex exchangeDevice(DeviceIndex index) const override {
    return std::exchange(Card::current_index(), index);
  }
  DeviceIndex maybeExchangeDevice(DeviceIndex index) const override {
    return index < 0 ? Card::current_index() : exchangeDevice(index);
  }
  bool isPinnedPtr(const void* data) const override { return PinnedAllocator::contains(data); }
  Allocator* getPinnedMemoryAllocator() const override {
    static auto* const allocator = new PinnedAllocator;
    return allocator;
  }
  Allocator* getCUDADeviceAllocator() const override { return &device_allocator(); }
  Device getDeviceFromPtr(void* pointer) const override { return Card::owner(pointer).device(); }
  void deviceSynchronize(DeviceIndex) const override {}
};
REGISTER_CUDA_HOOKS(CUDAHooks)

// Streams are numbers: 0 is the default one, and the pool hands out 1 to 32 in turn.
struct FakeGuard final : c10::impl::DeviceGuardImplInterface {
  using Stream = c10::Stream;
  static Card& card_of(c10::Device device) {
    return device.has_index() ? Card::of(device.index()) : Card::current();
  }
  static Stream stream_of(const Card& card, c10::StreamId id) {
    return Stream(Stream::UNSAFE, card.device(), id);
  }

  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device before = getDevice();
    setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return Card::current().device(); }
  void setDevice(c10::Device device) const override {
    Card::current_index() = card_of(device).device().index();
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    Card::current_index() = device.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override {
    return static_cast<c10::DeviceIndex>(Card::count());
  }
  Stream getStream(c10::Device device) const override {
    return stream_of(card_of(device), card_of(device).current_stream());
  }
  Stream getDefaultStream(c10::Device device) const override {
    return stream_of(card_of(device), 0);
  }
  Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
    static std::atomic<int> num_given = 0;
    return stream_of(card_of(device), 1 + num_given++ % 32);
  }
  Stream exchangeStream(Stream stream) const override {
    const Card& card = Card::of(stream.device_index());
    return stream_of(card, std::exchange(card.current_stream(), stream.id()));
  }
  void* getStreamNativeHandle(Stream stream) const override {
    return reinterpret_cast<void*>(stream.id());
  }
  void record(void**, const Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream& stream) const override {
    TORCH_CHECK(!Card::of(stream.device_index()).is_captured(stream.id()),
                "CUDA error: operation not permitted when stream is capturing: waiting for it");
  }
  bool isStreamCapturing(const Stream& stream) const override {
    return Card::of(stream.device_index()).is_captured(stream.id());
  }
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, FakeGuard)

#if __has_include(<ATen/core/GraphImplInterface.h>)

class FakeGraph final : public GraphImplInterface {
 public:
  explicit FakeGraph(const GraphImplArgs&) {}
  ~FakeGraph() override { card().discard(*recording_); }
  void capture_begin(MempoolId_t, GraphCaptureMode) override {
    Card::current().begin_capture(recording_);
  }
  void capture_end() override { card().end_capture(); }
  void instantiate() override {}
  void replay() override { card().replay(*recording_); }
  void reset() override { card().discard(*recording_); }
  MempoolId_t pool() const override { return {0, 0}; }
  void enable_debug_mode() override {}
  void debug_dump(const std::string&) override {}

 private:
  Card& card() const { return Card::of(recording_->device); }

  std::shared_ptr<sluice::fake_cuda::Recording> recording_ =
      std::make_shared<sluice::fake_cuda::Recording>();
};
REGISTER_GRAPH_IMPL(CUDA, FakeGraph)

#endif

}  // namespace
}  // namespace at
