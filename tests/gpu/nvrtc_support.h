// NVRTC for tests that compile programs for GPUs; scripts/setup.sh --tests installs it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "gpu/nvrtc.h"

namespace sluice::gpu::test {

inline constexpr Architecture kArchitectures[] = {{8, 0}, {9, 0}, {10, 0}};

// $SLUICE_NVRTC, or the one of the installed LibTorch; nullptr if there is none.
inline std::unique_ptr<Nvrtc> nvrtc_for(Architecture architecture) {
  const char* path = std::getenv("SLUICE_NVRTC");
  if (path == nullptr && SLUICE_NVRTC[0] != '\0') path = SLUICE_NVRTC;
  return Nvrtc::open(path != nullptr ? path : "", architecture);
}

}  // namespace sluice::gpu::test
