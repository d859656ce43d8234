#include "compare/step_times.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/rendezvous.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "compare/executor.h"
#include "compare/saved_state.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kRounds = 5;
constexpr std::uint64_t kMaxFileBytes = 1 << 20;

template <class Record>
Record read_or_new(const fs::path& path) {
  return fs::exists(path) ? config::from_json<Record>(read_file(path, kMaxFileBytes), path.string())
                          : Record{};
}

// Exit codes of all jobs. Forwards a stop signal to all of them, once. Kills the others when one
// fails, since they would wait for it. `first`: the index of that one, or 0.
struct Codes {
  std::vector<int> codes;
  std::size_t first = 0;
};
Codes wait_for_all(Executor& executor, std::size_t num_jobs) {
  Codes result{.codes = std::vector<int>(num_jobs)};
  bool stopping = false, failed = false;
  for (std::size_t num_ended = 0; num_ended < num_jobs;) {
    for (const Executor::End& end : executor.wait(500)) {
      result.codes[end.number] = end.code;
      ++num_ended;
      if (end.code == 0 || failed) continue;
      failed = true;
      result.first = end.number;
    }
    if (failed && !stop_requested()) executor.stop(SIGKILL);
    if (stop_requested() && !stopping) {
      stopping = true;
      log_stop("stopping step timing");
      executor.stop(stop_signal_number());
    }
  }
  return result;
}

// Missing or null on a CPU.
std::uint64_t gpu_bytes_of(const Json& json) {
  const auto found = json.find("measured_peak_gpu_memory_bytes");
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

// Parses the JSON line in the child's output.
RunTime parse_timing(const TimingTask& task, const fs::path& output, int code) {
  throw_if_stopped("measuring step times");
  // The child got a signal before this process, or only the child got one.
  if (is_stopped(code))
    fail(ExitCode::kInterrupted, cat("timing ", task.label),
         cat("interrupted by a stop signal (exit code ", code,
             "); repeat the same command to continue"));
  std::istringstream lines(read_file(output, kMaxFileBytes));
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("seconds_per_step"))
      return {.step_s = json["seconds_per_step"].get<double>(),
              .other_s = json.value("other_seconds", 0.0),
              .peak_gpu_bytes = gpu_bytes_of(json)};
    if (!line.empty()) last = line;
  }
  fail(ExitCode::kUsage, cat("timing ", task.label),
       cat("exit code ", code, ": ", printable(last, 400)));
}

}  // namespace

RunTime measure(const TimingTask& task, const Concurrency& concurrency, const fs::path& scratch) {
  const int num_children = concurrency.num_children;
  const fs::path meeting = scratch / "rendezvous";
  real_files().remove_all(meeting);
  real_files().create_directories(meeting);
  Environment environment = concurrency.environment;
  if (num_children > 1 || concurrency.seconds > 0)
    environment.push_back(
        Rendezvous::variable(static_cast<std::size_t>(num_children), concurrency.seconds, meeting));
  const auto num_jobs = static_cast<std::size_t>(num_children);
  const auto output_of = [&](std::size_t i) { return scratch / cat("timing-", i, ".txt"); };
  const std::unique_ptr<Executor> executor = make_executor(concurrency.worker, environment);
  for (std::size_t i = 0; i < num_jobs; ++i) {
    real_files().remove_all(output_of(i));
    executor->start(
        i, {.command = task.command, .config = task.config, .run_dir = {}, .output = output_of(i)});
  }
  const Codes ended = wait_for_all(*executor, num_jobs);
  parse_timing(task, output_of(ended.first), ended.codes[ended.first]);
  RunTime mean;
  for (std::size_t i = 0; i < num_jobs; ++i) {
    const RunTime one = parse_timing(task, output_of(i), ended.codes[i]);
    mean.step_s += one.step_s / num_children;
    mean.other_s += one.other_s / num_children;
    mean.peak_gpu_bytes = std::max(mean.peak_gpu_bytes, one.peak_gpu_bytes);
  }
  return mean;
}

std::vector<StepTime> measure_interleaved(std::size_t count,
                                          const std::function<double(std::size_t)>& measure_s) {
  std::vector<std::vector<double>> seconds(count);
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t which = round % 2 == 0 ? i : count - 1 - i;
      seconds[which].push_back(measure_s(which));
    }
  }
  std::vector<StepTime> times;
  for (std::vector<double>& one : seconds) {
    std::partial_sort(one.begin(), one.begin() + 2, one.end());
    times.push_back({.lowest_s = one[0], .second_s = one[1]});
  }
  return times;
}

std::string busy_message(std::span<const TimingTask> variants, std::span<const StepTime> times) {
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (times[i].is_steady()) continue;
    return cat("the machine is busy: the two fastest of ", kRounds, " readings for ",
               variants[i].label, " are ", short_number(times[i].lowest_s), " and ",
               short_number(times[i].second_s), " s per step");
  }
  return "";
}

std::map<std::string, double> known_step_times(const fs::path& directory) {
  std::map<std::string, double> times;
  for (const auto& [key, entry] :
       read_or_new<StepTimesRecord>(directory / "step_times.json").entries)
    times.emplace(key, entry.seconds_per_step);
  return times;
}

std::vector<double> step_times(std::span<const TimingTask> variants, std::size_t baseline,
                               const fs::path& directory) {
  std::map<std::string, double> times = known_step_times(directory);
  const auto is_known = [&](const TimingTask& task) { return times.contains(task.key); };
  std::vector<std::size_t> missing{baseline};  // always timed, as the reference for the others
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (i != baseline && !(is_known(variants[i]) && is_known(variants[baseline])))
      missing.push_back(i);
  }
  if (missing.size() > 1 || !is_known(variants[baseline])) {
    log::info(cat("timing the steps of ",
                  count_of(static_cast<std::int64_t>(missing.size()), "variant"), " in ", kRounds,
                  " interleaved rounds"));
    std::vector<TimingTask> tasks;
    for (const std::size_t i : missing) tasks.push_back(variants[i]);
    const std::vector<StepTime> measured = measure_interleaved(tasks.size(), [&](std::size_t i) {
      return measure_step_s(tasks[i], 1, directory / "measured");
    });
    if (const std::string busy = busy_message(tasks, measured); !busy.empty())
      fail(ExitCode::kUsage, "compare.equalize",
           cat(busy, "; step times not saved, retry on an otherwise idle machine"));
    const double scale =
        is_known(variants[baseline]) ? times.at(variants[baseline].key) / measured[0].lowest_s : 1;
    const fs::path file = directory / "step_times.json";
    auto record = read_or_new<StepTimesRecord>(file);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      times[tasks[i].key] = measured[i].lowest_s * scale;
      record.entries[tasks[i].key] = {.variant = tasks[i].label,
                                      .seconds_per_step = times[tasks[i].key],
                                      .cpu = machine().cpu_model};
    }
    real_files().write_atomically(file, config::to_json(record));
  }
  std::vector<double> seconds;
  for (const TimingTask& task : variants) seconds.push_back(times.at(task.key));
  return seconds;
}

std::int64_t steps_in_equal_time(std::int64_t baseline_steps, double baseline_step_s,
                                 double step_s) {
  if (step_s == baseline_step_s) return baseline_steps;
  const double steps = std::floor(static_cast<double>(baseline_steps) * baseline_step_s / step_s);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

SavedJobs::SavedJobs(const fs::path& directory)
    : file_(directory / "jobs.json"), record_(read_or_new<JobsRecord>(file_)) {}

std::optional<int> SavedJobs::find(const std::string& key, int most) const {
  const auto found = record_.jobs.find(key);
  if (found == record_.jobs.end()) return std::nullopt;
  return static_cast<int>(std::clamp<std::int64_t>(found->second, 1, most));
}

void SavedJobs::save(const std::string& key, int jobs, bool is_steady, std::string_view what) {
  if (!is_steady)
    return log::warn(cat("the ", what,
                         " is busy: the number of parallel runs is not saved and will be measured "
                         "again by the next session"));
  record_.jobs[key] = jobs;
  real_files().write_atomically(file_, config::to_json(record_));
}

int choose_jobs(int num_cpus, std::size_t max_jobs, const std::function<TimingTask(int)>& task,
                const fs::path& directory, const std::optional<WorkerCommand>& worker) {
  SavedJobs saved(directory);
  const std::string key = cat(machine().cpu_model, ", ", num_cpus, " processors",
                              worker ? ", threads of one process" : "");
  if (const auto known = saved.find(key, num_cpus)) return *known;
  std::vector<int> candidates;
  for (int jobs = 1; jobs <= num_cpus && static_cast<std::size_t>(jobs) <= max_jobs; jobs *= 2)
    candidates.push_back(jobs);
  if (candidates.size() < 2) return 1;
  log::info("choosing the number of parallel runs by step time");
  const std::vector<StepTime> times = measure_interleaved(candidates.size(), [&](std::size_t i) {
    return measure(task(num_cpus / candidates[i]),
                   {.num_children = candidates[i], .worker = worker}, directory / "measured")
               .step_s /
           candidates[i];
  });
  const auto best = std::min_element(
      times.begin(), times.end(),
      [](const StepTime& a, const StepTime& b) { return a.lowest_s < b.lowest_s; });
  const int chosen = candidates[static_cast<std::size_t>(best - times.begin())];
  for (std::size_t i = 0; i < candidates.size(); ++i)
    log::info(cat("  ", candidates[i], " x ", count_of(num_cpus / candidates[i], "thread"), ": ",
                  fixed(1 / times[i].lowest_s, 2), " steps per second in total"));
  const bool is_steady = std::all_of(times.begin(), times.end(),
                                     [](const StepTime& time) { return time.is_steady(); });
  saved.save(key, chosen, is_steady, "machine");
  return chosen;
}

}  // namespace sluice::compare
