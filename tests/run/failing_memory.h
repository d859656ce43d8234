// Memory that is exhausted on demand.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <limits>

#include "base/text_format.h"
#include "tests/gpu/host_device.h"

namespace sluice::run::test {

inline c10::OutOfMemoryError out_of_gpu_memory(std::size_t bytes) {
  return c10::OutOfMemoryError(
      {__func__, __FILE__, __LINE__},
      cat("CUDA out of memory. Tried to allocate ", bytes, " bytes. GPU 0 has a total capacity"));
}

// Until destroyed, LibTorch fails to allocate tensors of `least` to `most` bytes on the CPU, with
// the error of a GPU.
class FailingMemory final : public c10::Allocator {
 public:
  explicit FailingMemory(std::size_t least,
                         std::size_t most = std::numeric_limits<std::size_t>::max())
      : real_(*c10::GetCPUAllocator()), least_(least), most_(most) {
    c10::SetCPUAllocator(this);
  }
  ~FailingMemory() override { c10::SetCPUAllocator(&real_); }
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes >= least_ && bytes <= most_) {
      ++num_failed_;
      throw out_of_gpu_memory(bytes);
    }
    return real_.allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return real_.raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    real_.copy_data(to, from, bytes);
  }
  int num_failed() const { return num_failed_; }

 private:
  c10::Allocator& real_;
  std::size_t least_, most_;
  int num_failed_ = 0;
};

}  // namespace sluice::run::test
