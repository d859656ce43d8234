// SIGINT, SIGTERM and SIGUSR1 ask for a stop; a second one ends the process at once (exit code 128 + signal).
#pragma once

#include <array>
#include <csignal>
#include <string_view>

namespace sluice {

struct StopSignal {
  int number = 0;
  std::string_view name;
};
inline constexpr std::array kStopSignals = {StopSignal{SIGINT, "SIGINT"}, StopSignal{SIGTERM, "SIGTERM"}, StopSignal{SIGUSR1, "SIGUSR1"}};

void install_signal_handlers();
// True once a signal came. Long work polls it between units of work.
bool stop_requested() noexcept;
// Throws UserError kInterrupted if a stop is requested; `what` says what was interrupted.
void throw_if_stopped(std::string_view what);
// The signal's name ("SIGTERM"), empty if none came.
std::string_view stop_signal() noexcept;
// For tests.
void request_stop(int signal_number) noexcept;
void clear_stop() noexcept;

}  // namespace sluice
