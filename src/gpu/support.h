// Whether this program can use a GPU of the machine, and if not, why.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gpu/driver.h"
#include "gpu/nvrtc.h"

namespace sluice::gpu {

// The oldest compute capability with bf16 matrix products.
inline constexpr Architecture kOldestArchitecture{8, 0};

// What LibTorch says about CUDA. Versions as in Card::driver_version.
struct TorchCuda {
  int version = 0;      // of the CUDA that it was built with; 0: built without CUDA
  int num_devices = 0;  // that it finds
};

struct Support {
  // The machine has this GPU, and CUDA_VISIBLE_DEVICES does not hide it.
  bool visible = false;
  std::string obstacle;             // why it cannot be used, to follow "because"; empty: it can
  std::optional<Card> card;         // if the driver starts and knows it
  std::optional<NvrtcFacts> nvrtc;  // if it was searched for and found
  Architecture target;              // of compilation, for a GPU that can be used

  bool usable() const { return obstacle.empty(); }
};

// Asks the driver, then compares versions. `driver`: nullptr without one. `find_nvrtc` is called
// for a GPU that is visible and without another obstacle.
Support support_of(const Driver* driver, int device, const TorchCuda& torch,
                   const std::function<std::optional<NvrtcFacts>()>& find_nvrtc);

// The newest architecture of `supported` whose binaries run on the card: the same major number and
// at most its minor. The card's own if `supported` is empty (unknown).
std::optional<Architecture> target_for(const Card& card, const std::vector<int>& supported);

std::string cuda_version_text(int version);  // 13010 -> "13.1"

}  // namespace sluice::gpu
