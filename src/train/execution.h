// On what a run is computed: threads, device, and the types of numbers.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "train/run_config.h"

namespace sluice::train {

// What `auto` stands for: the value of `stored`, the configuration of the run that goes on, where there is one; else what suits this machine.
std::int64_t resolve_threads(const TrainConfig& config, const RunConfig* stored = nullptr);
// kUsage where the device is not there.
std::string resolve_device(const TrainConfig& config, const RunConfig* stored = nullptr);
// `config` has its device decided.
Precision resolve_precision(const TrainConfig& config, const RunConfig* stored = nullptr);

// The dtype of products: ops::Weight's `compute`.
c10::ScalarType compute_type(Precision precision);

// kUsage where this machine or this LibTorch has no such device.
c10::Device device_of(const std::string& name);
bool has_device(const std::string& name);

// Fixes the number of threads of LibTorch, and at the first call its other settings (ops/torch_compat.h).
void use_threads(std::int64_t num_threads);

}  // namespace sluice::train
