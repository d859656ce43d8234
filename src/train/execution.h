// Threads, device and numeric types of a run.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "gpu/support.h"
#include "train/run_config.h"

namespace sluice::train {

// Resolves `auto`: to the value in `stored`, the configuration of a resumed run, if given;
// otherwise to the default for this machine.
std::int64_t resolve_threads(const TrainConfig& config, const RunConfig* stored = nullptr);
// kUsage if the device is not available.
std::string resolve_device(const TrainConfig& config, const RunConfig* stored = nullptr);
// `config` must have its device resolved.
Precision resolve_precision(const TrainConfig& config, const RunConfig* stored = nullptr);

// The dtype of matrix products: `compute` of ops::Weight.
c10::ScalarType compute_type(Precision precision);

// kUsage if the device cannot be used; tells why.
c10::Device device_of(const std::string& name);
// `name`, or the CPU if that device cannot be used; warns if the machine has it.
c10::Device device_or_cpu(const std::string& name);
bool has_device(const std::string& name);
// The device of `train.device: auto`, given the state of the first GPU. Warns, once per reason, if
// the machine has a GPU that cannot be used.
std::string choose_device(const gpu::Support& gpu);

// Turns portable arithmetic on or off, as train.reproducible says: before the first computation.
void use_arithmetic(const TrainConfig& config);

// Sets the number of threads that LibTorch uses for work of the calling thread and, at the first
// call in the process, its other settings (ops/torch_compat.h).
void use_threads(std::int64_t num_threads);

}  // namespace sluice::train
