// SIGINT, SIGTERM, SIGHUP and SIGUSR1 ask for a stop: long work saves and ends with kInterrupted.
//
// One request often arrives several times: a job manager signals every process of a job, and a
// parent passes its own signal on. So a signal that follows the first one within kStopEcho_ms, or
// that a parent passes on, is an echo and changes nothing. A later one ends the process at once
// (exit code 128 + signal).
//
// A signal that was ignored when the process started stays ignored, as under nohup, after `trap ''
// TERM`, or for SIGINT in a script's `command &`.
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
inline constexpr std::array kStopSignals = {StopSignal{SIGINT, "SIGINT"}, StopSignal{SIGTERM, "SIGTERM"}, StopSignal{SIGHUP, "SIGHUP"},
                                            StopSignal{SIGUSR1, "SIGUSR1"}};
inline constexpr std::int64_t kStopEcho_ms = 1000;

void install_signal_handlers();
// True once a signal came. Long work polls it between units of work.
bool stop_requested() noexcept;
// Throws UserError kInterrupted if a stop is requested; `what` says what was interrupted.
void throw_if_stopped(std::string_view what);
// The first signal's number and name ("SIGTERM"); 0 and empty if none came.
int stop_signal_number() noexcept;
std::string_view stop_signal() noexcept;
// The name of a stop signal; empty for any other number.
std::string_view stop_signal_name(int number) noexcept;
// True for one that this process ignores. Safe between fork and exec.
bool is_ignored(int number) noexcept;
// Sends a stop signal to a child that runs this program: one request with that of this process,
// however late it arrives. False where it cannot.
bool pass_on_stop(pid_t child, int number) noexcept;
// For tests.
void request_stop(int signal_number) noexcept;
void clear_stop() noexcept;

}  // namespace sluice
