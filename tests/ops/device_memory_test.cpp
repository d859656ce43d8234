#include "ops/device_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <new>

#include "base/error.h"

namespace sluice::ops::test {
namespace {

c10::OutOfMemoryError gpu_error(const std::string& text) {
  return c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, text);
}

// Texts: CUDACachingAllocator.cpp and alloc_cpu.cpp of LibTorch.
TEST(DeviceMemory, ReadsWhatWasAskedFor) {
  const auto asked = [](const char* amount) {
    return find_out_of_memory(gpu_error(std::string("CUDA out of memory. Tried to allocate ") +
                                        amount + ". GPU 0 has a total capacity of 79.11 GiB"))
        ->asked_bytes;
  };
  EXPECT_EQ(asked("1.50 GiB"), std::uint64_t{3} << 29);
  EXPECT_EQ(asked("20.00 MiB"), 20u << 20);
  EXPECT_EQ(asked("2.00 KiB"), 2048u);
  EXPECT_EQ(asked("512 bytes"), 512u);
  EXPECT_EQ(asked("some"), std::nullopt);
  EXPECT_EQ(asked("3 of them"), std::nullopt);

  const auto cpu = find_out_of_memory(std::runtime_error(
      "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
      "you tried to allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)"));
  ASSERT_TRUE(cpu.has_value());
  EXPECT_FALSE(cpu->on_gpu);
  EXPECT_EQ(cpu->asked_bytes, std::uint64_t{1} << 42);
}

TEST(DeviceMemory, KnowsTheErrorsOfAllLibraries) {
  for (const char* text : {"CUDA error: out of memory\nCompile with ...",
                           "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
                           "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
                           "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"}) {
    const auto found = find_out_of_memory(std::runtime_error(text));
    ASSERT_TRUE(found.has_value()) << text;
    EXPECT_TRUE(found->on_gpu) << text;
    EXPECT_EQ(found->asked_bytes, std::nullopt) << text;
  }
  const auto driver = find_out_of_memory(
      InvariantError("the CUDA driver accepts cuModuleLoadData, not error 2 (out of memory)"));
  ASSERT_TRUE(driver.has_value());
  EXPECT_TRUE(driver->on_gpu);
  EXPECT_FALSE(find_out_of_memory(std::bad_alloc())->on_gpu);
  EXPECT_FALSE(find_out_of_memory(std::runtime_error("CUDA error: misaligned address")));
  EXPECT_FALSE(
      find_out_of_memory(UserError(ExitCode::kIo, "x: out of GPU memory, not enough memory")));
}

class FakeAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t) override { return {}; }
  void copy_data(void*, const void*, std::size_t) const override {}
  bool initialized() override { return is_initialized; }
  void emptyCache(c10::MempoolId_t) override { ++num_emptied; }
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex index) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.reserved_bytes[0].current = 300 + index;
    stats.reserved_bytes[0].peak = 500 + index;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex index) override {
    return {400 + static_cast<std::size_t>(index), 1000};
  }
  bool is_initialized = true;
  int num_emptied = 0;
};

TEST(DeviceMemory, AsksTheAllocatorOfTheDevice) {
  static FakeAllocator allocator;
  c10::SetAllocator(c10::DeviceType::PrivateUse1, &allocator);
  const DeviceMemory memory = memory_of(c10::Device(c10::DeviceType::PrivateUse1, 1));
  EXPECT_EQ(memory.free_bytes, 401u);
  EXPECT_EQ(memory.total_bytes, 1000u);
  EXPECT_EQ(memory.reserved_bytes, 301u);
  EXPECT_EQ(memory.available_bytes(), 702u);
  EXPECT_EQ(memory_of(c10::DeviceType::PrivateUse1).free_bytes, 400u);
  EXPECT_EQ(peak_reserved_bytes(c10::DeviceType::PrivateUse1), 500u);
  release_cached_memory(c10::kCPU);
  EXPECT_EQ(allocator.num_emptied, 0);
  release_cached_memory(c10::DeviceType::PrivateUse1);
  EXPECT_EQ(allocator.num_emptied, 1);
  // LibTorch is asked to initialize the device, which no backend of this build can.
  allocator.is_initialized = false;
  EXPECT_THROW(memory_of(c10::DeviceType::PrivateUse1), c10::Error);
}

}  // namespace
}  // namespace sluice::ops::test
