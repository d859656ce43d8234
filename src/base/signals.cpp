#include "base/signals.h"

#include <unistd.h>
#include <csignal>

#include <array>
#include <atomic>
#include <string>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice {
namespace {

// What a signal handler can reach is global by nature; a lock-free atomic is all that it may touch.
std::atomic<int>& received() noexcept {
  static constinit std::atomic<int> number{0};
  static_assert(std::atomic<int>::is_always_lock_free);
  return number;
}

extern "C" void on_stop_signal(int number) {
  int expected = 0;
  if (!received().compare_exchange_strong(expected, number)) _exit(128 + number);
}

}  // namespace

void install_signal_handlers() {
  // A file-size limit and a reader that went away are errors of a write, which is where they get their message.
  for (const int number : {SIGXFSZ, SIGPIPE}) invariant(std::signal(number, SIG_IGN) != SIG_ERR, "a signal cannot be ignored");
  for (const StopSignal& stop : kStopSignals) {
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    invariant(sigaction(stop.number, &action, nullptr) == 0, "a signal handler cannot be installed");
  }
}

bool stop_requested() noexcept { return received().load(std::memory_order_relaxed) != 0; }

void throw_if_stopped(std::string_view what) {
  if (stop_requested())
    fail(ExitCode::kInterrupted, what, cat("interrupted by ", stop_signal()), "run it again to go on (train: with --resume)");
}

std::string_view stop_signal() noexcept {
  const int number = received().load(std::memory_order_relaxed);
  for (const StopSignal& stop : kStopSignals) {
    if (stop.number == number) return stop.name;
  }
  return {};
}

void request_stop(int signal_number) noexcept { received().store(signal_number); }

void clear_stop() noexcept { received().store(0); }

}  // namespace sluice
