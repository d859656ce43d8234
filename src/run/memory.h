// Estimates the peak memory of a run from its configuration, for plan.
#pragma once

#include <c10/core/DeviceType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "train/resolve.h"

namespace sluice::run {

struct MemoryPart {
  std::string name;
  std::uint64_t bytes = 0;
};

struct StoredSizes {
  // of the flat buffers: the whole arena, or what the process has of it at most
  std::uint64_t weights = 0, gradients = 0, bf16_copy = 0;
  std::uint64_t optimizer_bytes = 0;  // optim::StateSize::memory_bytes
  // train::GradientSums::num_elements(), train::SectionGradients::Sizes::sums
  std::uint64_t gradient_sum_elements = 0;
  // of the program and its libraries before any computation
  std::uint64_t process_bytes = 0;
  // of the prepared tokens that the run reads, in mapped files
  std::uint64_t token_bytes = 0;
};
// Memory of the process while `train` prepares the data. `corpus_bytes`: size of the text.
std::uint64_t preparation_bytes(const train::RunConfig& config, std::uint64_t process_bytes,
                                std::uint64_t corpus_bytes);
// Estimated size of the token files for that much text.
std::uint64_t expected_token_bytes(const train::RunConfig& config, std::uint64_t corpus_bytes);

// Memory by cause, without data preparation.
std::vector<MemoryPart> memory_parts(const train::ResolvedRun& run, std::int64_t vocab_size,
                                     const StoredSizes& stored);

struct GpuSizes {
  std::int64_t vocab_size = 0;
  std::uint64_t arena_elements = 0;   // of one flat buffer
  std::uint64_t optimizer_bytes = 0;  // optim::StateSize::gpu_memory_bytes
  // of which the kernels run; tests run them on the CPU
  c10::DeviceType device = c10::kCUDA;
};
// Memory of the GPU by cause. Tensors are estimated as the GPU forms of the ops create them; the
// last two parts are assumptions about LibTorch and the driver (docs/gpu.md).
std::vector<MemoryPart> gpu_memory_parts(const train::ResolvedRun& run, const GpuSizes& sizes);
// The last part of gpu_memory_parts(): memory of the driver, which is not LibTorch's to allocate.
std::uint64_t gpu_context_bytes();

std::uint64_t sum_of(const std::vector<MemoryPart>& parts);

// The peak of a run by cause: of the process, and of its GPU (empty on a CPU).
struct MemoryEstimate {
  std::vector<MemoryPart> process, gpu;
};
// `process_bytes` and `token_bytes` as in StoredSizes. Of `num_processes`: the one that needs most.
MemoryEstimate estimate_memory(const train::ResolvedRun& run, std::int64_t vocab_size,
                               std::uint64_t process_bytes = 0, std::uint64_t token_bytes = 0,
                               std::int64_t num_processes = 1);

}  // namespace sluice::run
