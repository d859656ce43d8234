#include "compare/gpu_jobs.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text_format.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

constexpr int kReadings = 2;
constexpr double kPeriod_s = 2;  // of each reading

using Variants = std::span<const std::function<TimingTask(int threads)>>;

std::string_view sharing_of(const SharedGpu& gpu) {
  return gpu.worker ? "threads of one process" : gpu.has_mps ? "MPS" : "without MPS";
}

// Other variants may need more memory.
std::string key_of(const SharedGpu& gpu, int num_cpus, Variants variants) {
  std::string keys;
  for (const auto& variant : variants) keys += variant(num_cpus).key + '\n';
  return cat(gpu.name, ", ", human_bytes(gpu.memory_bytes), ", ", sharing_of(gpu), ", ",
             machine().cpu_model, ", ", num_cpus, " processors, variants ",
             hash_of(keys).hex().substr(0, 8));
}

class GpuJobs {
 public:
  GpuJobs(const SharedGpu& gpu, int num_cpus, fs::path scratch)
      : gpu_(gpu), num_cpus_(num_cpus), scratch_(std::move(scratch)) {}

  int choose(Variants variants, std::size_t max_jobs) {
    const std::size_t largest = measure_alone(variants);
    const int fitting = fitting_jobs(peak_bytes_, gpu_.memory_bytes, gpu_.max_jobs());
    const int most = static_cast<int>(std::min(max_jobs, static_cast<std::size_t>(fitting)));
    log::info(cat("  peak memory ", human_bytes(peak_bytes_), " per run: up to ", fitting,
                  " fit into ", human_bytes(gpu_.memory_bytes), " with ",
                  fixed(100 * kGpuReserve, 0), " % in reserve"));
    std::optional<double> best = steps_per_s(variants[largest], 1);
    int chosen = 1;
    for (int jobs = 2; best && jobs <= most; jobs *= 2) {
      const std::optional<double> rate = steps_per_s(variants[largest], jobs);
      if (!rate || *rate < (1 + kLeastGain) * *best) break;
      best = rate;
      chosen = jobs;
    }
    return chosen;
  }
  bool is_steady() const { return is_steady_; }

 private:
  RunTime reading(const std::function<TimingTask(int)>& variant, int jobs) const {
    return measure(variant(std::max(1, num_cpus_ / jobs)),
                   {.num_children = jobs,
                    .seconds = kPeriod_s,
                    .environment = gpu_.environment,
                    .worker = gpu_.worker},
                   scratch_);
  }

  // Returns the variant with the largest peak memory.
  std::size_t measure_alone(Variants variants) {
    std::size_t largest = 0;
    for (std::size_t i = 0; i < variants.size(); ++i) {
      const TimingTask task = variants[i](num_cpus_);
      const std::uint64_t bytes = reading(variants[i], 1).peak_gpu_bytes;
      require(bytes > 0, ExitCode::kUsage, cat("timing ", task.label),
              "no peak of GPU memory in the output of plan --measure");
      if (bytes > peak_bytes_) largest = i;
      peak_bytes_ = std::max(peak_bytes_, bytes);
    }
    return largest;
  }

  // In total; nullopt if a run fails.
  std::optional<double> steps_per_s(const std::function<TimingTask(int)>& variant, int jobs) {
    StepTime time;
    try {
      for (int i = 0; i < kReadings; ++i) {
        const double step_s = reading(variant, jobs).step_s;
        time = i == 0 ? StepTime{step_s, step_s}
                      : StepTime{std::min(time.lowest_s, step_s), std::max(time.second_s, step_s)};
      }
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kUsage || jobs == 1) throw;
      log::warn(cat("  ", jobs, " runs at once fail: ", error.what()));
      return std::nullopt;
    }
    is_steady_ = is_steady_ && time.is_steady();
    const double rate = jobs / time.lowest_s;
    log::info(cat("  ", count_of(jobs, "run"), " at once: ", fixed(rate, 2),
                  " steps per second in total"));
    return rate;
  }

  const SharedGpu& gpu_;
  int num_cpus_;
  fs::path scratch_;
  std::uint64_t peak_bytes_ = 0;
  bool is_steady_ = true;
};

}  // namespace

int fitting_jobs(std::uint64_t peak_bytes, std::uint64_t memory_bytes, int max_jobs) {
  const double usable = (1 - kGpuReserve) * static_cast<double>(memory_bytes);
  const double jobs = usable / static_cast<double>(std::max<std::uint64_t>(1, peak_bytes));
  return static_cast<int>(std::clamp(jobs, 1.0, static_cast<double>(max_jobs)));
}

int choose_gpu_jobs(const SharedGpu& gpu, int num_cpus, std::size_t max_jobs, Variants variants,
                    const fs::path& directory) {
  SavedJobs saved(directory);
  const std::string key = key_of(gpu, num_cpus, variants);
  if (const auto known = saved.find(key, gpu.max_jobs())) return *known;
  if (max_jobs < 2) return 1;
  log::info(cat("choosing the number of parallel runs on ", gpu.name,
                gpu.worker    ? " as threads of one process"
                : gpu.has_mps ? " with MPS"
                              : " without MPS: they take turns on the card"));
  GpuJobs jobs(gpu, num_cpus, directory / "measured");
  const int chosen = jobs.choose(variants, max_jobs);
  saved.save(key, chosen, jobs.is_steady(), "GPU");
  return chosen;
}

}  // namespace sluice::compare
