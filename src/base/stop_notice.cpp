#include "base/stop_notice.h"

#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice {
namespace {

// A person calls that at once. Nothing that a handler may do wakes a condition variable.
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

void tell_of_stop(const std::string& work) {
  log::warn(cat(stop_signal(), " received: ", work, "; again, ", kStopEcho_ms / 1000, " s later or more, ends at once"));
}

void tell_of_ignored_stops() {
  std::string ignored, others;
  for (const StopSignal& stop : kStopSignals) {
    std::string& list = is_ignored(stop.number) ? ignored : others;
    if (stop.number != SIGHUP || &list == &others) list += cat(list.empty() ? "" : ", ", stop.name);
  }
  if (ignored.empty()) return;
  log::info(cat(ignored, " ignored, as when this process started (a background job of a script, or `trap ''`); ",
                others.empty() ? "only SIGKILL stops it" : others + " stop it"));
}

StopNotice::StopNotice(std::string work) : work_(std::move(work)) {
  // Signals go to the threads that do the work: what waits there, such as poll(2), is to wake.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  watcher_ = std::thread([this] { watch(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StopNotice::~StopNotice() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ended_.notify_one();
  watcher_.join();
}

void StopNotice::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kLook, [this] { return is_over_; })) {
    if (!stop_requested()) continue;
    return tell_of_stop(work_);
  }
}

}  // namespace sluice
