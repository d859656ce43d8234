// How long a training step takes, measured by `sluice plan --measure` in child processes on the otherwise idle machine, and what follows:
// how many cells run side by side (`--jobs auto`), and how many steps each variant gets for equal time (`compare.equalize: time`).
//
// What was measured is written down and used again: DIRECTORY/jobs.json, DIRECTORY/step_times.json. A comparison that goes on later, or elsewhere,
// keeps its numbers of steps, so that a disturbed reading must not get there.
//
// Errors: kUsage where a measurement fails, with what it said, and where other work disturbs it; kInterrupted; kBadData for a damaged file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "config/record.h"

namespace sluice::compare {

struct StepTimesRecord {
  static constexpr config::RecordFormat record{
      .name = "step-times",
      .place = "DIR/step_times.json",
      .summary = "What was measured for `compare.equalize: time`. It stays, so that the numbers of steps do.",
      .expected = "what `sluice compare` wrote; delete it to measure again"};
  struct Entry {
    std::string variant;
    double seconds_per_step = 0;
    std::string cpu;
    static constexpr auto fields() {
      return std::tuple{config::field<&Entry::variant>("Its values."),
                        config::field<&Entry::seconds_per_step>("Of training.", config::Positive{}),
                        config::field<&Entry::cpu>("Processor model.")};
    }
  };
  std::map<std::string, Entry> entries;
  static constexpr auto fields() { return std::tuple{config::field<&StepTimesRecord::entries>("A variant, by hash.", config::Rest{})}; }
};

struct JobsRecord {
  static constexpr config::RecordFormat record{.name = "jobs",
                                               .place = "DIR/jobs.json",
                                               .summary = "What was measured for `--jobs auto`.",
                                               .expected = "what `sluice compare` wrote; delete it to measure again"};
  std::map<std::string, std::int64_t> jobs;
  static constexpr auto fields() {
    return std::tuple{config::field<&JobsRecord::jobs>("Processes side by side, by processor model and number of processors.",
                                                       config::Positive{}, config::Rest{})};
  }
};

// One process that times steps, and what it stands for.
struct Timed {
  std::string key, label;  // key: changes when what is timed changes
  std::vector<std::string> command;
};

// What one such process prints. other_s: seconds of a whole run but for its steps, as far as they are known; see train::other_seconds.
struct RunTime {
  double step_s = 0, other_s = 0;
};
// Means over `num_children` that run at once. `scratch`: a directory for their output.
RunTime measure(const Timed& timed, int num_children, const std::filesystem::path& scratch);
inline double measure_step_s(const Timed& timed, int num_children, const std::filesystem::path& scratch) {
  return measure(timed, num_children, scratch).step_s;
}

// Over some rounds. Other work only ever slows a step down, so that the lowest reading is the least disturbed; one that no other reading comes near
// was luck.
struct StepTime {
  double lowest_s = 0, second_s = 0;
  bool is_steady() const { return second_s <= 1.25 * lowest_s; }
};

// In rounds that go forth and back: what drifts (heat, other load) meets all alike.
std::vector<StepTime> measure_in_turns(std::size_t count, const std::function<double(std::size_t)>& measure_s);

// What disturbed the measurement of these, in one line: "the machine is busy: ..."; empty where all are steady.
std::string disturbance(std::span<const Timed> variants, std::span<const StepTime> times);

// Seconds per step by key, as far as the directory has them.
std::map<std::string, double> known_step_times(const std::filesystem::path& directory);

// Seconds per step of each variant. Measures those that the directory does not know; a variant that is added later is timed beside the baseline
// and enters by its ratio to it. kUsage, with nothing written down, where a measurement was disturbed.
std::vector<double> step_times(std::span<const Timed> variants, std::size_t baseline, const std::filesystem::path& directory);

// ⌊baseline_steps · baseline_step_s / step_s⌋, at least 1; baseline_steps for the baseline itself.
std::int64_t steps_in_equal_time(std::int64_t baseline_steps, double baseline_step_s, double step_s);

// 1, 2, 4, ... processes of num_cpus / processes threads, at most `most` processes: the number that takes the most steps per second together.
// `timed(threads)` is what to run. Remembered per processor model and number of processors, where no other work disturbed it.
int choose_jobs(int num_cpus, std::size_t most, const std::function<Timed(int threads)>& timed, const std::filesystem::path& directory);

}  // namespace sluice::compare
