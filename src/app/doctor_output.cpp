#include "app/doctor_output.h"

#include "base/text_format.h"
#include "ops/cudnn_library.h"

namespace sluice::app {
namespace {

std::optional<std::string> if_any(std::string text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

std::string threads_text(const DoctorOutput& f) {
  return f.threads == f.num_cpus ? cat(f.threads)
                                 : cat(f.threads, " (OMP_NUM_THREADS; this process may use ",
                                       count_of(f.num_cpus, "processor"), ")");
}

std::string rates_text(double fp32_gflops, double bf16_gflops) {
  return cat("fp32 ", fixed(fp32_gflops, 0), " GFLOP/s, bf16 ", fixed(bf16_gflops, 0), " GFLOP/s");
}

std::string gpu_text(const DoctorOutput& f) {
  if (!f.card) return cat("GPU         ", f.gpu_obstacle ? "not used" : "none", "\n");
  const DoctorOutput::Card& card = *f.card;
  const std::string free =
      card.free_memory_bytes ? cat(" (", human_bytes(*card.free_memory_bytes), " free)") : "";
  std::string text = cat(
      "GPU         ", card.name, ", compute capability ", card.compute_capability, ", ",
      human_bytes(card.memory_bytes), free, f.gpu ? "" : ", not used", "\n", "driver      ",
      card.driver ? cat(*card.driver, ", ") : "", "CUDA up to ", card.driver_cuda, "\n",
      "CUDA        LibTorch ",
      card.libtorch_cuda ? cat("for ", *card.libtorch_cuda) : "without CUDA", ", cuDNN ",
      card.cudnn.value_or("none"), ", NVRTC ",
      card.nvrtc ? cat(*card.nvrtc, " (", card.nvrtc_path.value_or("?"), ")") : "not found", "\n");
  if (card.fp32_gflops && card.bf16_gflops)
    text += cat("on the GPU  ", rates_text(*card.fp32_gflops, *card.bf16_gflops),
                " (4096 x 4096 x 4096, measured now)\n");
  else if (f.gpu)
    text += "on the GPU  products not measured: too little free memory\n";
  return text;
}

}  // namespace

void describe_gpu(DoctorOutput& output, const gpu::Support& support, const GpuSoftware& software) {
  output.gpu = support.usable();
  if (support.visible && !support.usable()) output.gpu_obstacle = support.obstacle;
  if (!support.card) return;
  DoctorOutput::Card& card = output.card.emplace();
  card.name = support.card->name;
  card.compute_capability = cat(support.card->major, ".", support.card->minor);
  card.memory_bytes = support.card->memory_bytes;
  card.driver = if_any(software.driver_release);
  card.driver_cuda = gpu::cuda_version_text(support.card->driver_version);
  if (software.cuda != 0) card.libtorch_cuda = gpu::cuda_version_text(software.cuda);
  if (software.cudnn != 0)
    card.cudnn = ops::cudnn_version_text(static_cast<std::size_t>(software.cudnn));
  if (!support.nvrtc) return;
  card.nvrtc = gpu::cuda_version_text(support.nvrtc->version);
  card.nvrtc_path = if_any(support.nvrtc->path);
}

void advise(DoctorOutput& f, const Machine& m) {
  const bool use_bf16 = f.gpu || m.has_fast_bf16();
  f.precision_auto = use_bf16 ? "bf16" : "fp32";
  if (f.gpu) f.advice.emplace_back("GPU found: train.device auto uses it.");
  if (f.gpu_obstacle)
    f.advice.push_back(cat("The GPU is not used, because ", *f.gpu_obstacle, "."));
  if (!f.gpu)
    f.advice.push_back(
        cat(f.gpu_obstacle ? "Training" : "No GPU: training",
            " runs on the CPU, which is practical for models of up to some tens of millions of "
            "parameters."));
  if (use_bf16)
    f.advice.emplace_back("bf16 is supported in hardware: train.precision auto uses it.");
  if (!use_bf16)
    f.advice.emplace_back(
        "No bf16 in hardware (neither AMX nor AVX512-BF16): train.precision auto uses fp32.");
  if (!m.avx2) f.advice.emplace_back("No AVX2: expect a small fraction of usual speed.");
  if (use_bf16 && !f.gpu && f.bf16_gflops < f.fp32_gflops)
    f.advice.emplace_back(
        "bf16 matrix products were slower than fp32; the machine may be busy. Run doctor again, or "
        "set train.precision: fp32.");
  if (m.memory_bytes < (std::uint64_t{4} << 30))
    f.advice.emplace_back(
        "Less than 4 GiB of memory: check with `sluice plan` whether a model fits.");
}

std::string doctor_text(const DoctorOutput& f) {
  std::string text =
      cat("sluice      ", f.version, " ", f.git_revision, "\n", "LibTorch    ", f.libtorch, "\n",
          "processor   ", f.cpu, "\n", "features    ", f.cpu_features, "\n", "threads     ",
          threads_text(f), "\n", "memory      ", human_bytes(f.memory_bytes), "\n");
  text += gpu_text(f);
  text += cat("disk here   ", human_bytes(f.free_disk_bytes), " free\n", "products    ",
              rates_text(f.fp32_gflops, f.bf16_gflops), " (2048 x 512 x 1024, measured now)\n");
  for (const std::string& line : f.advice) text += cat("* ", line, "\n");
  return text;
}

}  // namespace sluice::app
