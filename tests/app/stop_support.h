// What the tests of stop signals share: when a run is in which phase, and what a signal is sent to.
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

// Two signals of a kind, as a job manager and a parent send them.
struct Twice {
  StopSignal signal;
  int gap_ms = 0;
  int target = 0;  // what it is sent to; the test knows the names
};

inline constexpr std::array kGaps_ms = {0, 1, 20, 300};

// Of four signals, four gaps and `num_targets` (2 or 4) targets, those of row `row` of an
// orthogonal array: over rows 0 to 3 every pair of signal and gap, signal and target, gap and
// target occurs. With SLUICE_ALL_STOPS in the environment the whole product, for each row.
std::vector<Twice> twice_of_row(unsigned row, unsigned num_targets);

// True once `condition` holds; false where it does not within two minutes, or `process` has ended.
bool comes_true(Process& process, const std::function<bool()>& condition);

// Waits for its turn of preparing data, as if another process were at it.
class HeldLock {
 public:
  explicit HeldLock(const std::filesystem::path& path);
  ~HeldLock();
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Of a run directory.
std::optional<std::int64_t> newest_step(const std::filesystem::path& run);     // whose checkpoint verifies
std::vector<nlohmann::json> training_lines(const std::filesystem::path& run);  // without the clock
bool is_saving(const std::filesystem::path& run);
// Model and optimizer of a step, as bytes; empty where there are none.
std::string weights(const std::filesystem::path& run, int step);

// Running processes `sluice COMMAND` whose command line holds this text.
std::vector<pid_t> processes(const std::string& command, const std::string& text);

// The process handles this signal itself: its own code, and not the kernel, answers from here on.
bool handles(pid_t pid, int number);

}  // namespace sluice::app
