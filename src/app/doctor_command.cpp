#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "app/commands.h"
#include "app/json.h"
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

struct Findings {
  nlohmann::ordered_json facts;
  std::vector<std::string> advice;
};

Findings examine() {
  const Machine& m = machine();
  ops::prepare_torch(m.num_cpus);
  Findings f;
  f.facts["version"] = version();
  f.facts["git_revision"] = git_revision();
  f.facts["libtorch"] = ops::torch_version();
  f.facts["cpu"] = m.cpu_model;
  f.facts["cpu_features"] = m.features();
  f.facts["threads"] = auto_threads();
  f.facts["num_cpus"] = m.num_cpus;
  f.facts["memory_bytes"] = m.memory_bytes;
  f.facts["gpu"] = at::hasCUDA();
  f.facts["free_disk_bytes"] = real_files().free_bytes(".");
  const double fp32 = 1e-9 * ops::measure_product_rate(c10::kFloat, kMeasured_s),
               bf16 = 1e-9 * ops::measure_product_rate(c10::kBFloat16, kMeasured_s);
  f.facts["fp32_gflops"] = fp32;
  f.facts["bf16_gflops"] = bf16;
  const bool use_bf16 = at::hasCUDA() || m.has_fast_bf16();
  f.facts["precision_auto"] = use_bf16 ? "bf16" : "fp32";
  if (at::hasCUDA()) f.advice.emplace_back("GPU found: train.device auto uses it.");
  if (!at::hasCUDA())
    f.advice.emplace_back("No GPU: training runs on the processor; models up to some tens of millions of parameters are practical.");
  if (use_bf16) f.advice.emplace_back("bf16 runs in hardware: train.precision auto uses it.");
  if (!use_bf16) f.advice.emplace_back("No bf16 in hardware (neither AMX nor AVX512-BF16): train.precision auto stays with fp32.");
  if (!m.avx2) f.advice.emplace_back("No AVX2: expect a small fraction of usual speed.");
  if (use_bf16 && bf16 < fp32)
    f.advice.emplace_back("bf16 products measured slower than fp32: is the machine busy? Run doctor again, or set train.precision: fp32.");
  if (m.memory_bytes < (std::uint64_t{4} << 30)) f.advice.emplace_back("Less than 4 GiB of memory: check models with `sluice plan` first.");
  return f;
}

std::string threads_text(int threads) {
  const int num_cpus = machine().num_cpus;
  return threads == num_cpus ? cat(threads)
                             : cat(threads, " (OMP_NUM_THREADS; this process may use ", count_of(num_cpus, "processor"), ")");
}

}  // namespace

void doctor_command(const DoctorOptions& options) {
  const Findings f = examine();
  if (options.json) {
    nlohmann::ordered_json result = f.facts;
    result["advice"] = f.advice;
    std::cout << text_of(result) << "\n";
    return;
  }
  const auto text = [&](const char* key) { return f.facts[key].get<std::string>(); };
  std::cout << "sluice      " << text("version") << " " << text("git_revision") << "\n"
            << "LibTorch    " << text("libtorch") << "\n"
            << "processor   " << text("cpu") << "\n"
            << "features    " << text("cpu_features") << "\n"
            << "threads     " << threads_text(f.facts["threads"].get<int>()) << "\n"
            << "memory      " << human_bytes(f.facts["memory_bytes"]) << "\n"
            << "GPU         " << (f.facts["gpu"].get<bool>() ? "yes" : "none") << "\n"
            << "disk here   " << human_bytes(f.facts["free_disk_bytes"]) << " free\n"
            << "products    fp32 " << fixed(f.facts["fp32_gflops"], 0) << " GFLOP/s, bf16 " << fixed(f.facts["bf16_gflops"], 0)
            << " GFLOP/s (2048 x 512 x 1024, measured now)\n";
  for (const std::string& line : f.advice) std::cout << "* " << line << "\n";
}

}  // namespace sluice::app
