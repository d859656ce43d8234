// NVRTC for tests that compile programs for GPUs; scripts/setup.sh --tests installs it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "gpu/nvrtc.h"
#include "tests/gpu/host_device.h"

namespace sluice::gpu::test {

inline constexpr Architecture kArchitectures[] = {{8, 0}, {9, 0}, {10, 0}};

// $SLUICE_NVRTC, or the one of the installed LibTorch; nullptr if there is none.
inline std::unique_ptr<Nvrtc> nvrtc_for(Architecture architecture) {
  const char* path = std::getenv("SLUICE_NVRTC");
  if (path == nullptr && SLUICE_NVRTC[0] != '\0') path = SLUICE_NVRTC;
  return Nvrtc::open(path != nullptr ? path : "", architecture);
}

// Every program that a test has launched compiles for GPUs.
inline void expect_compiles_for_gpus(const std::vector<Launch>& launches) {
  std::set<std::pair<const Program*, std::string>> programs;
  for (const Launch& launch : launches) programs.emplace(launch.program, launch.settings);
  for (const Architecture architecture : kArchitectures) {
    const auto nvrtc = nvrtc_for(architecture);
    if (nvrtc == nullptr) GTEST_SKIP() << "no NVRTC; scripts/setup.sh --tests installs it";
    for (const auto& [program, settings] : programs)
      EXPECT_NO_THROW(nvrtc->compile(sources_of(*program, settings))) << program->main << "\n"
                                                                      << settings;
  }
}

}  // namespace sluice::gpu::test
