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

constexpr int kForwarded = 0x51ce;  // marks signals sent by forward_stop()
constexpr int kNumberBits = 8;

// The first signal: number in the low bits, arrival time above them; 0: none. A signal handler can
// only access global state, and only lock-free atomics safely; a single word is never read torn.
std::atomic<std::int64_t>& first_signal() noexcept {
  static constinit std::atomic<std::int64_t> packed{0};
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
  return packed;
}

std::int64_t now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // async-signal-safe
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::int64_t packed_now(int number) noexcept { return (now_ms() << kNumberBits) | number; }

extern "C" void on_stop_signal(int number, siginfo_t* info, void*) {
  const int error = errno;
  std::int64_t first = 0;
  if (!first_signal().compare_exchange_strong(first, packed_now(number))) {
    const bool forwarded = info->si_code == SI_QUEUE && info->si_value.sival_int == kForwarded;
    const bool is_echo = forwarded || now_ms() - (first >> kNumberBits) < kStopEcho_ms;
    if (!is_echo) _exit(128 + number);
  }
  errno = error;
}

sigset_t stop_signals() {
  sigset_t stops;
  sigemptyset(&stops);
  for (const StopSignal& stop : kStopSignals) sigaddset(&stops, stop.number);
  return stops;
}

}  // namespace

void install_signal_handlers() {
  // A file-size limit or a closed pipe then fails the write, which reports the error.
  for (const int number : {SIGXFSZ, SIGPIPE})
    invariant(std::signal(number, SIG_IGN) != SIG_ERR, "cannot ignore a signal");
  for (const StopSignal& stop : kStopSignals) {
    if (is_ignored(stop.number)) continue;
    struct sigaction action {};
    action.sa_sigaction = on_stop_signal;
    // SA_RESTART: libraries do not expect EINTR. Our own long waits use short timeouts and poll for
    // stop requests.
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    invariant(sigaction(stop.number, &action, nullptr) == 0, "cannot install a signal handler");
  }
  // Unlike ignored signals, blocked ones are not the user's choice: the parent may have forked from
  // a thread with blocked signals.
  const sigset_t stops = stop_signals();
  invariant(::pthread_sigmask(SIG_UNBLOCK, &stops, nullptr) == 0, "cannot unblock signals");
}

bool is_ignored(int number) noexcept {
  struct sigaction action {};
  const bool is_known = ::sigaction(number, nullptr, &action) == 0;
  return is_known && (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

bool stop_requested() noexcept { return stop_signal_number() != 0; }

void throw_if_stopped(std::string_view what) {
  if (stop_requested())
    fail(ExitCode::kInterrupted, what,
         cat("interrupted by ", stop_signal(), "; run again to continue (train: with --resume)"));
}

int stop_signal_number() noexcept {
  return static_cast<int>(first_signal().load(std::memory_order_relaxed) &
                          ((std::int64_t{1} << kNumberBits) - 1));
}

std::string_view stop_signal() noexcept { return stop_signal_name(stop_signal_number()); }

std::string_view stop_signal_name(int number) noexcept {
  const auto* const found =
      std::find_if(kStopSignals.begin(), kStopSignals.end(),
                   [&](const StopSignal& stop) { return stop.number == number; });
  return found == kStopSignals.end() ? std::string_view() : found->name;
}

bool forward_stop(pid_t child, int number) noexcept {
  sigval value{};
  value.sival_int = kForwarded;
  if (::sigqueue(child, number, value) == 0) return true;
  // EAGAIN: the user's queue of pending signals is full.
  return errno == EAGAIN && ::kill(child, number) == 0;
}

BlockedStops::BlockedStops() {
  const sigset_t stops = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &stops, &before_);
}

BlockedStops::~BlockedStops() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void request_stop(int signal_number) noexcept { first_signal().store(packed_now(signal_number)); }

void clear_stop() noexcept { first_signal().store(0); }

}  // namespace sluice
