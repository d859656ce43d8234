// How long a training step takes, measured by `sluice plan --measure` in child processes on the otherwise idle machine, and what follows:
// how many cells run side by side (`--jobs auto`), and how many steps each variant gets for equal time (`compare.equalize: time`).
//
// What was measured is written down and used again: DIRECTORY/jobs.json, DIRECTORY/step_times.json. A comparison that goes on later, or elsewhere,
// keeps its numbers of steps.
//
// Errors: kUsage where a measurement fails, with what it said; kInterrupted; kBadData for a damaged file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sluice::compare {

// One process that times steps, and what it stands for.
struct Timed {
  std::string key, label;  // key: changes when what is timed changes
  std::vector<std::string> command;
};

// Mean seconds per step over `num_children` that run at once. `scratch`: a directory for their output.
double measure_step_s(const Timed& timed, int num_children, const std::filesystem::path& scratch);

// Each one's median over rounds that go forth and back: what drifts (heat, other load) meets all alike.
std::vector<double> measure_in_turns(std::size_t count, const std::function<double(std::size_t)>& measure_s);

// Seconds per step of each variant. Measures those that the directory does not know; a variant that is added later is timed beside the baseline
// and enters by its ratio to it.
std::vector<double> step_times(std::span<const Timed> variants, std::size_t baseline, const std::filesystem::path& directory);

// ⌊baseline_steps · baseline_step_s / step_s⌋, at least 1; baseline_steps for the baseline itself.
std::int64_t steps_in_equal_time(std::int64_t baseline_steps, double baseline_step_s, double step_s);

// 1, 2, 4, ... processes of num_cpus / processes threads, at most `most` processes: the number that takes the most steps per second together.
// `timed(threads)` is what to run. Remembered per processor model and number of processors.
int choose_jobs(int num_cpus, std::size_t most, const std::function<Timed(int threads)>& timed, const std::filesystem::path& directory);

}  // namespace sluice::compare
