#include "compare/step_times.h"

#include <poll.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/child.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kRounds = 3;
constexpr std::uint64_t kMaxFileBytes = 1 << 20;

Json read_json(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json tree = Json::parse(read_file(path, kMaxFileBytes), nullptr, /*allow_exceptions=*/false);
  require(tree.is_object(), ExitCode::kBadData, path.string(), "no JSON object", "what `sluice compare` wrote; delete it to measure again");
  return tree;
}

void write_json(const Json& json, const fs::path& path) { real_files().write_atomically(path, json.dump(2) + "\n"); }

void wait_for(Child& child) {
  while (!child.exit_code()) {
    if (stop_requested()) child.terminate();
    pollfd end{.fd = child.end_descriptor(), .events = POLLIN, .revents = 0};
    ::poll(&end, 1, 500);
  }
}

// The figure in the one line of JSON among what the child printed.
double printed_seconds(const Timed& timed, const fs::path& output, int code) {
  throw_if_stopped("measuring step times");
  std::istringstream lines(read_file(output, kMaxFileBytes));
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("seconds_per_step")) return json["seconds_per_step"].get<double>();
    if (!line.empty()) last = line;
  }
  fail(ExitCode::kUsage, cat("timing ", timed.label), cat("exit code ", code, ": ", printable(last, 400)),
       "a configuration that can be trained here");
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

double measure_step_s(const Timed& timed, int num_children, const fs::path& scratch) {
  real_files().create_directories(scratch);
  std::vector<Child> children;
  std::vector<fs::path> outputs;
  for (int i = 0; i < num_children; ++i) {
    outputs.push_back(scratch / cat("timing-", i, ".txt"));
    real_files().remove_all(outputs.back());
    children.emplace_back(timed.command, outputs.back());
  }
  for (Child& child : children) wait_for(child);
  double sum = 0;
  for (std::size_t i = 0; i < children.size(); ++i) sum += printed_seconds(timed, outputs[i], *children[i].exit_code());
  return sum / num_children;
}

std::vector<double> measure_in_turns(std::size_t count, const std::function<double(std::size_t)>& measure_s) {
  std::vector<std::vector<double>> seconds(count);
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t which = round % 2 == 0 ? i : count - 1 - i;
      seconds[which].push_back(measure_s(which));
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& one : seconds) medians.push_back(median_of(std::move(one)));
  return medians;
}

std::vector<double> step_times(std::span<const Timed> variants, std::size_t baseline, const fs::path& directory) {
  const fs::path file = directory / "step_times.json";
  Json known = read_json(file);
  const auto is_known = [&](const Timed& timed) { return known.contains(timed.key) && known[timed.key]["seconds_per_step"].is_number(); };
  std::vector<std::size_t> missing{baseline};  // timed in any case: the others are ratios to it
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (i != baseline && !(is_known(variants[i]) && is_known(variants[baseline]))) missing.push_back(i);
  }
  if (missing.size() > 1 || !is_known(variants[baseline])) {
    log::info(cat("timing the steps of ", missing.size(), " variants, ", kRounds, " rounds in turn"));
    const std::vector<double> measured =
        measure_in_turns(missing.size(), [&](std::size_t i) { return measure_step_s(variants[missing[i]], 1, directory / "measured"); });
    const double scale = is_known(variants[baseline]) ? known[variants[baseline].key]["seconds_per_step"].get<double>() / measured[0] : 1;
    for (std::size_t i = 0; i < missing.size(); ++i) {
      const Timed& timed = variants[missing[i]];
      known[timed.key] = {{"variant", timed.label}, {"seconds_per_step", measured[i] * scale}, {"cpu", machine().cpu_model}};
    }
    write_json(known, file);
  }
  std::vector<double> seconds;
  for (const Timed& timed : variants) seconds.push_back(known[timed.key]["seconds_per_step"].get<double>());
  return seconds;
}

std::int64_t steps_in_equal_time(std::int64_t baseline_steps, double baseline_step_s, double step_s) {
  if (step_s == baseline_step_s) return baseline_steps;
  const double steps = std::floor(static_cast<double>(baseline_steps) * baseline_step_s / step_s);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

int choose_jobs(int num_cpus, std::size_t most, const std::function<Timed(int)>& timed, const fs::path& directory) {
  const fs::path file = directory / "jobs.json";
  Json known = read_json(file);
  const std::string key = cat(machine().cpu_model, ", ", num_cpus, " processors");
  if (known.contains(key) && known[key].is_number_integer()) return std::clamp(known[key].get<int>(), 1, num_cpus);
  std::vector<int> candidates;
  for (int jobs = 1; jobs <= num_cpus && static_cast<std::size_t>(jobs) <= most; jobs *= 2) candidates.push_back(jobs);
  if (candidates.size() < 2) return 1;
  log::info("timing how many processes side by side finish soonest");
  const std::vector<double> seconds = measure_in_turns(candidates.size(), [&](std::size_t i) {
    return measure_step_s(timed(num_cpus / candidates[i]), candidates[i], directory / "measured") / candidates[i];
  });
  const int chosen = candidates[static_cast<std::size_t>(std::min_element(seconds.begin(), seconds.end()) - seconds.begin())];
  for (std::size_t i = 0; i < candidates.size(); ++i)
    log::info(
        cat("  ", candidates[i], " x ", num_cpus / candidates[i], " threads: ", fixed(1 / seconds[i], 2), " steps per second together"));
  known[key] = chosen;
  write_json(known, file);
  return chosen;
}

}  // namespace sluice::compare
