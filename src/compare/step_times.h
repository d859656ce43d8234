// Step times, measured by `sluice plan --measure` in child processes on an otherwise idle machine,
// and what depends on them: the number of parallel runs (`--jobs auto`) and the number of steps of
// each variant for equal time (`compare.equalize: time`).
//
// Results are saved in DIRECTORY/jobs.json and DIRECTORY/step_times.json and reused. A comparison
// continued later, or on another machine, keeps its numbers of steps; measurements disturbed by
// other load are therefore not saved.
//
// Errors: kUsage if a measurement fails, with its output, or is disturbed by other load;
// kInterrupted; kBadData for a damaged file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "compare/executor.h"
#include "config/record.h"

namespace sluice::compare {

struct StepTimesRecord {
  static constexpr config::RecordFormat record{
      .name = "step-times",
      .place = "DIR/step_times.json",
      .summary =
          "Step times for `compare.equalize: time`. Never remeasured, so that the numbers of "
          "steps stay the same.",
      .expected = "step times written by `sluice compare`; delete it to measure again"};
  struct Entry {
    std::string variant;
    double seconds_per_step = 0;
    std::string cpu;
    static constexpr auto fields() {
      return std::tuple{
          config::field<&Entry::variant>("Values of the varied keys."),
          config::field<&Entry::seconds_per_step>("Seconds per training step.", config::Positive{}),
          config::field<&Entry::cpu>("Processor model.")};
    }
  };
  std::map<std::string, Entry> entries;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&StepTimesRecord::entries>("Variants by hash.", config::Rest{})};
  }
};

struct JobsRecord {
  static constexpr config::RecordFormat record{
      .name = "jobs",
      .place = "DIR/jobs.json",
      .summary = "Number of parallel runs measured for `--jobs auto`.",
      .expected = "numbers written by `sluice compare`; delete it to measure again"};
  std::map<std::string, std::int64_t> jobs;
  static constexpr auto fields() {
    return std::tuple{config::field<&JobsRecord::jobs>(
        "Parallel runs, by processor model and number of processors, and whether they are threads "
        "of one process; on a GPU also by card, use of MPS and variants.",
        config::Positive{}, config::Rest{})};
  }
};

// Numbers of parallel runs saved in DIRECTORY/jobs.json. kBadData if the file is damaged.
class SavedJobs {
 public:
  explicit SavedJobs(const std::filesystem::path& directory);
  // At least 1 and at most `most`.
  std::optional<int> find(const std::string& key, int most) const;
  // Not if the measurement was disturbed: warns that `what` ("machine") is busy.
  void save(const std::string& key, int jobs, bool is_steady, std::string_view what);

 private:
  std::filesystem::path file_;
  JobsRecord record_;
};

// A command that times the steps of a variant.
struct TimingTask {
  std::string key, label;  // key: identifies the timed configuration
  std::vector<std::string> command;
  std::filesystem::path config{};  // of that command; needed to measure in a thread
};

// Output of such a command. other_s: seconds of a whole run outside its steps, as far as known; see
// run::other_seconds. peak_gpu_bytes: 0 on a CPU.
struct RunTime {
  double step_s = 0, other_s = 0;
  std::uint64_t peak_gpu_bytes = 0;
};
struct Concurrency {
  int num_children = 1;
  double seconds = 0;                     // during which each child trains at least; 0: a few steps
  Environment environment{};              // of each child
  std::optional<WorkerCommand> worker{};  // the children are threads of this process
};
// Means over concurrent children, and the largest memory of their processes. They time their steps
// during the same period (base/rendezvous.h). If one fails, the others are killed. `scratch`: a
// directory for their output.
RunTime measure(const TimingTask& task, const Concurrency& concurrency,
                const std::filesystem::path& scratch);
inline double measure_step_s(const TimingTask& task, int num_children,
                             const std::filesystem::path& scratch) {
  return measure(task, {.num_children = num_children}, scratch).step_s;
}

// The two lowest readings. Other load can only slow steps down, so the lowest reading is the least
// disturbed; without a second one close to it, it is not reliable.
struct StepTime {
  double lowest_s = 0, second_s = 0;
  bool is_steady() const { return second_s <= 1.25 * lowest_s; }
};

// Measures items 0 to count - 1 in rounds of alternating direction, so that drift (temperature,
// other load) affects all equally.
std::vector<StepTime> measure_interleaved(std::size_t count,
                                          const std::function<double(std::size_t)>& measure_s);

// "the machine is busy: ..." in one line, naming the first variant with unsteady readings; empty if
// all are steady.
std::string busy_message(std::span<const TimingTask> variants, std::span<const StepTime> times);

// Saved seconds per step, by key.
std::map<std::string, double> known_step_times(const std::filesystem::path& directory);

// Seconds per step of each variant. Measures those without a saved time. A variant added later is
// timed together with the baseline, and its time is scaled by the baseline's saved time. kUsage,
// without saving anything, if a measurement was disturbed.
std::vector<double> step_times(std::span<const TimingTask> variants, std::size_t baseline,
                               const std::filesystem::path& directory);

// ⌊baseline_steps · baseline_step_s / step_s⌋, at least 1; baseline_steps for the baseline itself.
std::int64_t steps_in_equal_time(std::int64_t baseline_steps, double baseline_step_s,
                                 double step_s);

// The number of parallel runs, among 1, 2, 4, ... up to max_jobs, with the most steps per second in
// total. Each has num_cpus / runs threads and runs task(threads). Saved per processor model, number
// of processors and use of a `worker`, unless disturbed.
// For GPUs: compare/gpu_jobs.h.
int choose_jobs(int num_cpus, std::size_t max_jobs,
                const std::function<TimingTask(int threads)>& task,
                const std::filesystem::path& directory,
                const std::optional<WorkerCommand>& worker = {});

}  // namespace sluice::compare
