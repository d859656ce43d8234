#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "app/commands.h"
#include "app/outputs.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "base/version.h"
#include "ops/product_rate.h"
#include "ops/torch_compat.h"

namespace sluice::app {
namespace {

constexpr double kMeasured_s = 0.4;  // per dtype

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
  f.gpu = at::hasCUDA();
  f.free_disk_bytes = real_files().free_bytes(".");
  f.fp32_gflops = 1e-9 * ops::measure_product_rate(c10::kFloat, kMeasured_s);
  f.bf16_gflops = 1e-9 * ops::measure_product_rate(c10::kBFloat16, kMeasured_s);
  const bool use_bf16 = f.gpu || m.has_fast_bf16();
  f.precision_auto = use_bf16 ? "bf16" : "fp32";
  if (f.gpu) f.advice.emplace_back("GPU found: train.device auto uses it.");
  if (!f.gpu)
    f.advice.emplace_back(
        "No GPU: training runs on the CPU, which is practical for models of up to some tens of "
        "millions of parameters.");
  if (use_bf16)
    f.advice.emplace_back("bf16 is supported in hardware: train.precision auto uses it.");
  if (!use_bf16)
    f.advice.emplace_back(
        "No bf16 in hardware (neither AMX nor AVX512-BF16): train.precision auto uses fp32.");
  if (!m.avx2) f.advice.emplace_back("No AVX2: expect a small fraction of usual speed.");
  if (use_bf16 && f.bf16_gflops < f.fp32_gflops)
    f.advice.emplace_back(
        "bf16 matrix products were slower than fp32; the machine may be busy. Run doctor again, or "
        "set train.precision: fp32.");
  if (m.memory_bytes < (std::uint64_t{4} << 30))
    f.advice.emplace_back(
        "Less than 4 GiB of memory: check with `sluice plan` whether a model fits.");
  return f;
}

std::string threads_text(int threads) {
  const int num_cpus = machine().num_cpus;
  return threads == num_cpus ? cat(threads)
                             : cat(threads, " (OMP_NUM_THREADS; this process may use ",
                                   count_of(num_cpus, "processor"), ")");
}

}  // namespace

void doctor_command(const DoctorOptions& options) {
  const DoctorOutput f = inspect_machine();
  if (options.json) {
    std::cout << config::to_json(f);
    return;
  }
  std::cout << "sluice      " << f.version << " " << f.git_revision << "\n"
            << "LibTorch    " << f.libtorch << "\n"
            << "processor   " << f.cpu << "\n"
            << "features    " << f.cpu_features << "\n"
            << "threads     " << threads_text(static_cast<int>(f.threads)) << "\n"
            << "memory      " << human_bytes(f.memory_bytes) << "\n"
            << "GPU         " << (f.gpu ? "yes" : "none") << "\n"
            << "disk here   " << human_bytes(f.free_disk_bytes) << " free\n"
            << "products    fp32 " << fixed(f.fp32_gflops, 0) << " GFLOP/s, bf16 "
            << fixed(f.bf16_gflops, 0) << " GFLOP/s (2048 x 512 x 1024, measured now)\n";
  for (const std::string& line : f.advice) std::cout << "* " << line << "\n";
}

}  // namespace sluice::app
