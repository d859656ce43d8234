// Follows the bytes that LibTorch allocates on the CPU, and a device that launches nothing.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "gpu/device.h"

namespace sluice::train::test {

// Bytes allocated by this thread since the recorder was created, and their peak. The backward pass
// on a CPU runs in the calling thread.
class MemoryRecorder {
 public:
  MemoryRecorder()
      : counts_(std::make_shared<Counts>()), guard_(c10::DebugInfoKind::PROFILER_STATE, counts_) {}
  std::int64_t now() const { return counts_->now; }
  std::int64_t peak() const { return counts_->peak; }
  void reset_peak() { counts_->peak = counts_->now; }

 private:
  struct Counts final : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t,
                           c10::Device) override {
      now += bytes;
      peak = std::max(peak, now);
    }
    bool memoryProfilingEnabled() const override { return true; }
    std::int64_t now = 0, peak = 0;
  };
  std::shared_ptr<Counts> counts_;
  c10::DebugInfoGuard guard_;
};

// The host part of the GPU forms without their kernels: what they allocate does not depend on what
// kernels compute.
class IdleDevice final : public gpu::Device {
 public:
  void launch(const gpu::Kernel&, const gpu::Grid&, std::span<const gpu::Argument>) override {
    ++num_launches_;
  }
  std::int64_t num_launches() const { return num_launches_; }

 private:
  std::int64_t num_launches_ = 0;
};

}  // namespace sluice::train::test
