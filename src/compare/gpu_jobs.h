// `--jobs auto` on a GPU: the number of parallel runs, by measured memory and throughput.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "compare/executor.h"
#include "compare/step_times.h"

namespace sluice::compare {

// The most clients that NVIDIA's MPS accepts on every GPU since Volta (60 on some newer ones).
inline constexpr int kMaxGpuJobs = 48;
// The most runs in one process: each has a stream of its own, and LibTorch has 32.
inline constexpr int kMaxGpuThreads = 32;
// Share of the card's memory that stays free, for other processes and fragmentation.
inline constexpr double kGpuReserve = 0.1;
// Doubling the number of runs must gain this share of steps per second.
inline constexpr double kLeastGain = 0.1;

// A card as the runs use it.
struct SharedGpu {
  std::string name;
  std::uint64_t memory_bytes = 0;
  bool has_mps = false;                   // otherwise processes take turns on the card
  Environment environment{};              // of each process
  std::optional<WorkerCommand> worker{};  // runs are threads of one process

  int max_jobs() const { return worker ? kMaxGpuThreads : kMaxGpuJobs; }
};

// Runs that fit together if each needs `peak_bytes`: at least 1, at most `max_jobs`.
int fitting_jobs(std::uint64_t peak_bytes, std::uint64_t memory_bytes, int max_jobs = kMaxGpuJobs);

// The number of parallel runs, among 1, 2, 4, ... up to max_jobs. Measures each variant alone, then
// 2, 4, ... runs at once of that with the largest peak memory, as long as they fit and doubling
// gains at least kLeastGain. Each run has max(1, num_cpus / runs) CPU threads and runs
// variants[i](threads). Saved in DIRECTORY/jobs.json by card, use of MPS or of a worker, processor
// and variants, unless disturbed. kUsage if a variant cannot be measured alone; more runs that fail
// are only reported.
int choose_gpu_jobs(const SharedGpu& gpu, int num_cpus, std::size_t max_jobs,
                    std::span<const std::function<TimingTask(int threads)>> variants,
                    const std::filesystem::path& directory);

}  // namespace sluice::compare
