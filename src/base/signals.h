// SIGINT, SIGTERM, SIGHUP and SIGUSR1 request a stop: long operations save and exit with
// kInterrupted.
//
// One request often arrives several times: a job manager signals every process of a job, and a
// parent forwards its own signal. A signal within kStopEcho_ms of the first one, or forwarded by a
// parent, is therefore an echo and ignored. A later one ends the process immediately (exit code 128
// + signal).
//
// A signal ignored at process start stays ignored, as under nohup, after `trap '' TERM`, or for
// SIGINT in a script's `command &`.
#pragma once

#include <sys/types.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <string_view>

namespace sluice {

struct StopSignal {
  int number = 0;
  std::string_view name;
};
inline constexpr std::array kStopSignals = {
    StopSignal{SIGINT, "SIGINT"}, StopSignal{SIGTERM, "SIGTERM"}, StopSignal{SIGHUP, "SIGHUP"},
    StopSignal{SIGUSR1, "SIGUSR1"}};
inline constexpr std::int64_t kStopEcho_ms = 1000;

void install_signal_handlers();
// True after the first stop signal. Long operations poll it between units of work.
bool stop_requested() noexcept;
// Throws UserError kInterrupted if a stop was requested. `what`: the interrupted operation.
void throw_if_stopped(std::string_view what);
// Number and name ("SIGTERM") of the first stop signal; 0 and empty before it.
int stop_signal_number() noexcept;
std::string_view stop_signal() noexcept;
// The name of a stop signal; empty for any other number.
std::string_view stop_signal_name(int number) noexcept;
// True if this process ignores the signal. Safe between fork and exec.
bool is_ignored(int number) noexcept;
// Forwards a stop signal to a child that runs this program. The child treats it as an echo of the
// original request, however late it arrives. Returns false on failure.
bool forward_stop(pid_t child, int number) noexcept;
// Stop signals wait while it exists: until it is destroyed, this thread and those that it starts do
// not receive them. Around fork(), so that no handler of the parent consumes a signal in the child,
// which restores before().
class BlockedStops {
 public:
  BlockedStops();
  ~BlockedStops();
  BlockedStops(const BlockedStops&) = delete;
  BlockedStops& operator=(const BlockedStops&) = delete;
  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

// For tests.
void request_stop(int signal_number) noexcept;
void clear_stop() noexcept;

}  // namespace sluice
