// Shared by the tests of stop signals: detecting the phase of a run, and the targets of signals.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/signals.h"
#include "tests/app/program.h"

namespace sluice::app {

// Of the runs that the tests stop.
inline constexpr int kSteps = 160;

// The same signal twice, as sent by a job manager and a parent.
struct Twice {
  StopSignal signal;
  int gap_ms = 0;
  int target = 0;  // index of the target, defined by the test
};

inline constexpr std::array kGaps_ms = {0, 1, 20, 300};

// The cases of row `row` of an orthogonal array of four signals, four gaps and `num_targets` (2 or
// 4) targets: over rows 0 to 3, each pair of signal and gap, signal and target, gap and target
// occurs. With SLUICE_ALL_STOPS in the environment, the full product for each row.
std::vector<Twice> twice_of_row(unsigned row, unsigned num_targets);

// True once `condition` holds; false after two minutes, or if `process` ends first.
bool wait_until(Process& process, const std::function<bool()>& condition);

// Holds the lock of the prepared data, as if another process were preparing it.
class HeldLock {
 public:
  explicit HeldLock(const std::filesystem::path& path);
  ~HeldLock();
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Step of the newest valid checkpoint of a run directory.
std::optional<std::int64_t> newest_step(const std::filesystem::path& run);
std::vector<nlohmann::json> training_lines(const std::filesystem::path& run);  // without times
bool is_saving(const std::filesystem::path& run);
// Model and optimizer of a step as bytes; empty if missing.
std::string weights(const std::filesystem::path& run, int step);

// Running processes `sluice COMMAND` with this text in their command line.
std::vector<pid_t> processes(const std::string& command, const std::string& text);

// True if the process has installed a handler for the signal.
bool handles(pid_t pid, int number);

}  // namespace sluice::app
