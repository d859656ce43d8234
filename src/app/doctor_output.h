// What `sluice doctor` finds out, as JSON and as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/outputs.h"
#include "base/machine.h"
#include "gpu/support.h"

namespace sluice::app {

struct DoctorOutput {
  static constexpr auto record =
      output("doctor", "`sluice doctor --json`", "Versions, hardware and advice on speed.");

  // The first GPU.
  struct Card {
    std::string name, compute_capability;
    std::uint64_t memory_bytes = 0;
    std::optional<std::uint64_t> free_memory_bytes;
    std::optional<std::string> driver;
    std::string driver_cuda;
    std::optional<std::string> libtorch_cuda, cudnn, nvrtc, nvrtc_path;
    std::optional<double> fp32_gflops, bf16_gflops;

    static constexpr auto fields() {
      using config::field;
      return std::tuple{
          field<&Card::name>("Model."),
          field<&Card::compute_capability>("CUDA compute capability: 9.0."),
          field<&Card::memory_bytes>("Size of its memory."),
          field<&Card::free_memory_bytes>(
              "Of that, not used by any process; null if the card cannot be used."),
          field<&Card::driver>("Release of the NVIDIA driver: 580.65.06; null if unknown."),
          field<&Card::driver_cuda>("The newest CUDA version that the driver supports."),
          field<&Card::libtorch_cuda>("CUDA version of LibTorch; null: built without CUDA."),
          field<&Card::cudnn>("Version of cuDNN that LibTorch uses; null if none."),
          field<&Card::nvrtc>("Version of NVRTC, which compiles the kernels; null if not found."),
          field<&Card::nvrtc_path>("The file of NVRTC."),
          field<&Card::fp32_gflops>("Measured speed of fp32 matrix products of 4096 x 4096 x 4096; "
                                    "null if the card cannot be used or has too little free "
                                    "memory."),
          field<&Card::bf16_gflops>("The same for bf16.")};
    }
  };

  std::string version, git_revision, libtorch, cpu, cpu_features;
  std::int64_t threads = 0, num_cpus = 0;
  std::uint64_t memory_bytes = 0;
  bool gpu = false;
  std::optional<std::string> gpu_obstacle;
  std::optional<Card> card;
  std::uint64_t free_disk_bytes = 0;
  double fp32_gflops = 0, bf16_gflops = 0;
  std::string precision_auto;
  std::vector<std::string> advice;

  static constexpr auto fields() {
    using config::field;
    using O = DoctorOutput;
    return std::tuple{
        field<&O::version>("Version of Sluice."),
        field<&O::git_revision>("Revision of its source code."),
        field<&O::libtorch>("Version of LibTorch."),
        field<&O::cpu>("Processor model."),
        field<&O::cpu_features>("CPU features relevant to speed."),
        field<&O::threads>("Threads used by train.threads: auto."),
        field<&O::num_cpus>("CPUs available to this process."),
        field<&O::memory_bytes>("Size of the main memory."),
        field<&O::gpu>("Whether there is a GPU that can be used."),
        field<&O::gpu_obstacle>("Why the machine's GPU cannot be used; null if it can or if there "
                                "is none."),
        field<&O::card>("The first GPU; null if there is none."),
        field<&O::free_disk_bytes>("Free disk space in the working directory."),
        field<&O::fp32_gflops>("Measured speed of fp32 matrix products on the CPU."),
        field<&O::bf16_gflops>("Measured speed of bf16 matrix products on the CPU."),
        field<&O::precision_auto>("Precision used by train.precision: auto."),
        field<&O::advice>("Recommendations.")};
  }
};

// What LibTorch and the system say about a GPU.
struct GpuSoftware {
  int cuda = 0;                // of LibTorch, as gpu::TorchCuda::version; 0: none
  long cudnn = 0;              // 91900 is 9.19.0; 0: none
  std::string driver_release;  // empty: unknown
};

// The GPU as far as it is known without using it.
void describe_gpu(DoctorOutput& output, const gpu::Support& support, const GpuSoftware& software);
// Sets `precision_auto` and `advice`. Everything else is known.
void advise(DoctorOutput& output, const Machine& machine);
// For the console.
std::string doctor_text(const DoctorOutput& output);

}  // namespace sluice::app
