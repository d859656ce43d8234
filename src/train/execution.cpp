#include "train/execution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/log.h"
#include "base/log_destination.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "config/decide.h"
#include "ops/cuda.h"
#include "ops/portable.h"
#include "ops/torch_compat.h"

namespace sluice::train {
namespace {

using config::decide, config::member_of;

const TrainConfig* train_of(const RunConfig* stored) {
  return stored != nullptr ? &stored->train : nullptr;
}

void warn_of_cpu(const std::string& obstacle) {
  const std::string line = cat("using the CPU, because ", obstacle);
  if (log::current()->is_new(line)) log::warn(line);
}

}  // namespace

std::int64_t resolve_threads(const TrainConfig& config, const RunConfig* stored) {
  config::Auto<std::int64_t> threads = config.threads;
  decide(threads, member_of(train_of(stored), &TrainConfig::threads),
         [] { return auto_threads(); });
  return *threads;
}

std::string resolve_device(const TrainConfig& config, const RunConfig* stored) {
  config::Auto<std::string> device = config.device;
  decide(device, member_of(train_of(stored), &TrainConfig::device), [&] {
    if (config.reproducible == Reproducible::kPortable) return std::string("cpu");
    return choose_device(ops::gpu_support(c10::kCUDA));
  });
  device_of(*device);
  return *device;
}

Precision resolve_precision(const TrainConfig& config, const RunConfig* stored) {
  config::Auto<Precision> precision = config.precision;
  decide(precision, member_of(train_of(stored), &TrainConfig::precision), [&] {
    const bool is_fast = *config.device != "cpu" || machine().has_fast_bf16();
    return is_fast && config.reproducible != Reproducible::kPortable ? Precision::kBf16
                                                                     : Precision::kFp32;
  });
  return *precision;
}

c10::ScalarType compute_type(Precision precision) {
  return precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
}

std::string choose_device(const gpu::Support& gpu) {
  if (gpu.usable()) return "cuda";
  if (gpu.visible) warn_of_cpu(gpu.obstacle);
  return "cpu";
}

bool has_device(const std::string& name) {
  const c10::Device device(name);
  return device.is_cpu() || ops::gpu_support(device).usable();
}

c10::Device device_of(const std::string& name) {
  const c10::Device device(name);
  if (!has_device(name)) {
    const bool has_another = device.index() > 0 && has_device("cuda:0");
    fail(ExitCode::kUsage, "train.device", name,
         cat(has_another ? "cuda:0 or cpu" : "cpu", ", because ",
             ops::gpu_support(device).obstacle));
  }
  return device;
}

c10::Device device_or_cpu(const std::string& name) {
  if (has_device(name)) return c10::Device(name);
  const gpu::Support& gpu = ops::gpu_support(c10::Device(name));
  if (gpu.visible) warn_of_cpu(gpu.obstacle);
  return at::kCPU;
}

void use_arithmetic(const TrainConfig& config) {
  ops::use_portable_arithmetic(config.reproducible == Reproducible::kPortable);
}

void use_threads(std::int64_t num_threads) {
  static const bool prepared = (ops::prepare_torch(static_cast<int>(num_threads)), true);
  invariant(prepared, "prepare_torch() runs once");
  // The number belongs to the calling thread. At the first use of a thread, LibTorch and our code,
  // each by its own flag, set the number that any thread has set last: that must come first.
  at::internal::lazy_init_num_threads();
  at::get_num_threads();
  at::set_num_threads(static_cast<int>(num_threads));
}

}  // namespace sluice::train
