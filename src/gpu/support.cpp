#include "gpu/support.h"

#include <tuple>

#include "base/text_format.h"

namespace sluice::gpu {
namespace {

// CUresult.
constexpr int kStubLibrary = 34, kNoDevice = 100;

std::string explanation(const Driver& driver, int result) {
  const char* text = nullptr;
  driver.get_error_string(result, &text);
  return text != nullptr ? text : "unknown error";
}

// CUDA promises that a driver runs programs of every minor version of its major version.
bool is_too_old(int driver_version, int needed) { return driver_version / 1000 < needed / 1000; }

std::string too_old(const Card& card, std::string_view who, int needed) {
  return cat("the NVIDIA driver supports CUDA ", cuda_version_text(card.driver_version), " and ",
             who, " needs CUDA ", needed / 1000, ".0: update the driver");
}

std::string obstacle_of_card(const Card& card, int device, const TorchCuda& torch) {
  if (torch.version == 0) return cat("LibTorch is built without CUDA and cannot use ", card.name);
  if (is_too_old(card.driver_version, torch.version))
    return too_old(card, "LibTorch", torch.version);
  const auto [major, minor] = kOldestArchitecture;
  if (std::tie(card.major, card.minor) < std::tie(major, minor))
    return cat(card.name, " has compute capability ", card.major, ".", card.minor, ", below ",
               major, ".", minor);
  if (device >= torch.num_devices) return cat("LibTorch does not find ", card.name);
  return "";
}

std::string obstacle_of_nvrtc(const Card& card, const std::optional<NvrtcFacts>& nvrtc) {
  if (!nvrtc)
    return "NVRTC, which comes with CUDA builds of LibTorch, is not found; install it with pip "
           "install nvidia-cuda-nvrtc";
  const std::string name = cat("NVRTC ", cuda_version_text(nvrtc->version));
  if (is_too_old(card.driver_version, nvrtc->version)) return too_old(card, name, nvrtc->version);
  if (!target_for(card, nvrtc->architectures))
    return cat(name, " does not compile for ", card.name, " (compute capability ", card.major, ".",
               card.minor, "): update LibTorch");
  return "";
}

}  // namespace

std::string cuda_version_text(int version) { return cat(version / 1000, ".", version % 1000 / 10); }

std::optional<Architecture> target_for(const Card& card, const std::vector<int>& supported) {
  if (supported.empty()) return Architecture{card.major, card.minor};
  std::optional<Architecture> best;
  for (const int number : supported) {
    const Architecture one{number / 10, number % 10};
    if (one.major == card.major && one.minor <= card.minor && (!best || one.minor > best->minor))
      best = one;
  }
  return best;
}

Support support_of(const Driver* driver, int device, const TorchCuda& torch,
                   const std::function<std::optional<NvrtcFacts>()>& find_nvrtc) {
  Support support;
  if (driver == nullptr) {
    support.obstacle = "the NVIDIA driver (libcuda.so.1) is not found or too old";
    return support;
  }
  if (const int result = driver->init(0); result != 0) {
    support.visible = result != kNoDevice && result != kStubLibrary;
    support.obstacle = support.visible
                           ? cat("the NVIDIA driver does not start: ", explanation(*driver, result),
                                 " (error ", result, ")")
                           : "no GPU is visible";
    return support;
  }
  int count = 0;
  driver->check(driver->device_get_count(&count), "cuDeviceGetCount");
  if (device >= count) {
    support.obstacle =
        count == 0 ? "no GPU is visible" : cat("this machine has ", count_of(count, "GPU"));
    return support;
  }
  support.visible = true;
  support.card = card_of(*driver, device);
  support.obstacle = obstacle_of_card(*support.card, device, torch);
  if (!support.usable()) return support;
  support.nvrtc = find_nvrtc();
  support.obstacle = obstacle_of_nvrtc(*support.card, support.nvrtc);
  if (support.usable()) support.target = *target_for(*support.card, support.nvrtc->architectures);
  return support;
}

}  // namespace sluice::gpu
