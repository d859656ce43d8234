// NVIDIA's run-time compiler. LibTorch's CUDA wheels contain it, so no CUDA toolkit is needed;
// without LibTorch, the PyPI package nvidia-cuda-nvrtc does. It needs no GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpu/kernel_cache.h"

namespace sluice::gpu {

// Compute capability of a device: 9.0 is {9, 0}.
struct Architecture {
  int major = 0, minor = 0;
};

// The NVRTC of this machine.
struct NvrtcFacts {
  int version = 0;                 // 13010 is 13.1
  std::vector<int> architectures;  // that it compiles for: 120 is 12.0; empty: unknown
  std::string path;                // of the library
};

class Nvrtc final : public Compiler {
 public:
  // `library`: a path, or empty to search LibTorch's libraries and the system's. nullptr if there
  // is none.
  static std::unique_ptr<Nvrtc> open(const std::string& library, Architecture architecture);
  NvrtcFacts facts() const;
  std::string identity() const override;
  std::string compile(const Sources& sources) const override;

 private:
  struct Functions;
  Nvrtc(std::shared_ptr<const Functions> functions, Architecture architecture);
  std::shared_ptr<const Functions> functions_;
  Architecture architecture_;
};

}  // namespace sluice::gpu
