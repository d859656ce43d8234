#include <c10/core/DeviceType.h>

#include <fstream>
#include <iostream>
#include <string>

#include "app/commands.h"
#include "app/doctor_output.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/threads.h"
#include "base/version.h"
#include "ops/cuda.h"
#include "ops/device_memory.h"
#include "ops/product_rate.h"
#include "ops/torch_compat.h"

namespace sluice::app {
namespace {

constexpr double kMeasured_s = 0.4;  // per dtype

std::string first_line_of(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

GpuSoftware gpu_software() {
  return {.cuda = ops::torch_cuda().version,
          .cudnn = ops::cudnn_version(),
          .driver_release = gpu::driver_release(first_line_of("/proc/driver/nvidia/version"))};
}

std::optional<double> gflops(c10::ScalarType dtype, c10::Device device = c10::kCPU) {
  const std::optional<double> rate = ops::measure_product_rate(dtype, kMeasured_s, device);
  return rate ? std::optional(1e-9 * *rate) : std::nullopt;
}

void use_gpu(DoctorOutput::Card& card) {
  const c10::Device device(c10::kCUDA, 0);
  const ops::DeviceScope scope(device);
  card.free_memory_bytes = ops::memory_of(device).free_bytes;
  card.fp32_gflops = gflops(c10::kFloat, device);
  card.bf16_gflops = gflops(c10::kBFloat16, device);
}

DoctorOutput inspect_machine() {
  const Machine& m = machine();
  ops::prepare_torch(m.num_cpus);
  DoctorOutput f;
  f.version = version();
  f.git_revision = git_revision();
  f.libtorch = ops::torch_version();
  f.cpu = m.cpu_model;
  f.cpu_features = m.features();
  f.threads = auto_threads();
  f.num_cpus = m.num_cpus;
  f.memory_bytes = m.memory_bytes;
  f.free_disk_bytes = real_files().free_bytes(".");
  f.fp32_gflops = gflops(c10::kFloat).value();
  f.bf16_gflops = gflops(c10::kBFloat16).value();
  describe_gpu(f, ops::gpu_support(c10::kCUDA), gpu_software());
  if (f.gpu) use_gpu(*f.card);
  advise(f, m);
  return f;
}

}  // namespace

void doctor_command(const DoctorOptions& options) {
  const DoctorOutput found = inspect_machine();
  std::cout << (options.json ? config::to_json(found) : doctor_text(found));
}

}  // namespace sluice::app
