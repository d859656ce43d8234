#include "train/execution.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "base/error.h"
#include "base/machine.h"
#include "base/threads.h"
#include "config/decide.h"
#include "ops/torch_compat.h"

namespace sluice::train {
namespace {

using config::decide, config::member_of;

const TrainConfig* train_of(const RunConfig* stored) {
  return stored != nullptr ? &stored->train : nullptr;
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
  decide(device, member_of(train_of(stored), &TrainConfig::device),
         [] { return std::string(at::hasCUDA() ? "cuda" : "cpu"); });
  device_of(*device);
  return *device;
}

Precision resolve_precision(const TrainConfig& config, const RunConfig* stored) {
  config::Auto<Precision> precision = config.precision;
  decide(precision, member_of(train_of(stored), &TrainConfig::precision), [&] {
    return *config.device != "cpu" || machine().has_fast_bf16() ? Precision::kBf16
                                                                : Precision::kFp32;
  });
  return *precision;
}

c10::ScalarType compute_type(Precision precision) {
  return precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
}

bool has_device(const std::string& name) {
  const c10::Device device(name);
  if (device.is_cpu()) return true;
  return at::hasCUDA() &&
         (!device.has_index() ||
          device.index() < static_cast<int>(at::detail::getCUDAHooks().deviceCount()));
}

c10::Device device_of(const std::string& name) {
  if (!has_device(name))
    fail(ExitCode::kUsage, "train.device", name,
         at::hasCUDA() ? "cpu or an available GPU" : "cpu, because LibTorch finds no GPU");
  return c10::Device(name);
}

void use_threads(std::int64_t num_threads) {
  static const bool prepared = (ops::prepare_torch(static_cast<int>(num_threads)), true);
  invariant(prepared, "prepare_torch() runs once");
  at::set_num_threads(static_cast<int>(num_threads));
}

}  // namespace sluice::train
