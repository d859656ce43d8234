// `--jobs auto` on a GPU: the number of parallel runs, by measured memory and throughput.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "compare/child.h"
#include "compare/step_times.h"

namespace sluice::compare {

// The most clients that NVIDIA's MPS accepts on every GPU since Volta (60 on some newer ones).
inline constexpr int kMaxGpuJobs = 48;
// Share of the card's memory that stays free, for other processes and fragmentation.
inline constexpr double kGpuReserve = 0.1;
// Doubling the number of runs must gain this share of steps per second.
inline constexpr double kLeastGain = 0.1;

// A card as the runs use it.
struct SharedGpu {
  std::string name;
  std::uint64_t memory_bytes = 0;
  bool has_mps = false;       // otherwise processes take turns on the card
  Environment environment{};  // of each run
};

// Runs that fit together if each needs `peak_bytes`: at least 1, at most kMaxGpuJobs.
int fitting_jobs(std::uint64_t peak_bytes, std::uint64_t memory_bytes);

// The number of parallel runs, among 1, 2, 4, ... up to max_jobs. Measures each variant alone, then
// that with the largest peak memory in 2, 4, ... processes at once, as long as they fit and
// doubling gains at least kLeastGain. Each process has max(1, num_cpus / processes) threads and
// runs variants[i](threads). Saved in DIRECTORY/jobs.json by card, use of MPS, processor and
// variants, unless disturbed. kUsage if a variant cannot be measured alone; more processes that
// fail are only reported.
int choose_gpu_jobs(const SharedGpu& gpu, int num_cpus, std::size_t max_jobs,
                    std::span<const std::function<TimingTask(int threads)>> variants,
                    const std::filesystem::path& directory);

}  // namespace sluice::compare
