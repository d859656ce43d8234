#include "base/signals.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice {
namespace {

constexpr int kPassedOn = 0x51ce;  // the value of a signal that pass_on_stop() sends
constexpr int kNumberBits = 8;

// The first signal: its number in the low bits, when it came above them; 0: none. What a signal
// handler can reach is global by nature; a lock-free atomic is all that it may touch, and one word
// cannot be read half-written.
std::atomic<std::int64_t>& first_signal() noexcept {
  static constinit std::atomic<std::int64_t> word{0};
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
  return word;
}

std::int64_t now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // safe in a handler
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::int64_t word_of(int number) noexcept { return (now_ms() << kNumberBits) | number; }

extern "C" void on_stop_signal(int number, siginfo_t* info, void*) {
  const int error = errno;
  std::int64_t first = 0;
  if (!first_signal().compare_exchange_strong(first, word_of(number))) {
    const bool passed_on = info->si_code == SI_QUEUE && info->si_value.sival_int == kPassedOn;
    const bool is_echo = passed_on || now_ms() - (first >> kNumberBits) < kStopEcho_ms;
    if (!is_echo) _exit(128 + number);
  }
  errno = error;
}

}  // namespace

void install_signal_handlers() {
  // A file-size limit and a reader that went away are errors of a write, which is where they get
  // their message.
  for (const int number : {SIGXFSZ, SIGPIPE}) invariant(std::signal(number, SIG_IGN) != SIG_ERR, "a signal cannot be ignored");
  sigset_t stops;
  sigemptyset(&stops);
  for (const StopSignal& stop : kStopSignals) {
    sigaddset(&stops, stop.number);
    if (is_ignored(stop.number)) continue;
    struct sigaction action {};
    action.sa_sigaction = on_stop_signal;
    // SA_RESTART: libraries do not expect EINTR. Our own calls that can wait for long do so in
    // short turns and look for a stop between them.
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    invariant(sigaction(stop.number, &action, nullptr) == 0, "a signal handler cannot be installed");
  }
  // Blocked, unlike ignored, is not a choice: a parent that forked from a thread with its signals
  // held back.
  invariant(::pthread_sigmask(SIG_UNBLOCK, &stops, nullptr) == 0, "signals cannot be unblocked");
}

bool is_ignored(int number) noexcept {
  struct sigaction action {};
  const bool is_known = ::sigaction(number, nullptr, &action) == 0;
  return is_known && (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

bool stop_requested() noexcept { return stop_signal_number() != 0; }

void throw_if_stopped(std::string_view what) {
  if (stop_requested())
    fail(ExitCode::kInterrupted, what, cat("interrupted by ", stop_signal()), "run it again to continue (train: with --resume)");
}

int stop_signal_number() noexcept {
  return static_cast<int>(first_signal().load(std::memory_order_relaxed) & ((std::int64_t{1} << kNumberBits) - 1));
}

std::string_view stop_signal() noexcept { return stop_signal_name(stop_signal_number()); }

std::string_view stop_signal_name(int number) noexcept {
  const auto* const found =
      std::find_if(kStopSignals.begin(), kStopSignals.end(), [&](const StopSignal& stop) { return stop.number == number; });
  return found == kStopSignals.end() ? std::string_view() : found->name;
}

bool pass_on_stop(pid_t child, int number) noexcept {
  sigval value{};
  value.sival_int = kPassedOn;
  if (::sigqueue(child, number, value) == 0) return true;
  // EAGAIN: the user's queue of such signals is full.
  return errno == EAGAIN && ::kill(child, number) == 0;
}

void request_stop(int signal_number) noexcept { first_signal().store(word_of(signal_number)); }

void clear_stop() noexcept { first_signal().store(0); }

}  // namespace sluice
