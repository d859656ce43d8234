// Name and memory of the GPU that a device of LibTorch stands for.
#pragma once

#include <c10/core/Device.h>

#include <optional>

#include "gpu/driver.h"

namespace sluice::ops {

// nullopt for a CPU, and without a driver. LibTorch must have counted its devices, which prepares
// the driver; no context is created.
std::optional<gpu::Card> card_of(c10::Device device, const gpu::Driver* driver);
// With the driver of this machine.
std::optional<gpu::Card> card_of(c10::Device device);

}  // namespace sluice::ops
