#include "base/stop_notice.h"

#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/log_destination.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice {
namespace {

// Appears immediate to a user. A signal handler cannot notify a condition variable, so poll.
constexpr std::chrono::milliseconds kPollInterval{50};

}  // namespace

void log_stop(const std::string& work) {
  log::warn(cat(stop_signal(), " received: ", work, "; send it again after ", kStopEcho_ms / 1000,
                " s to stop immediately"));
}

void log_ignored_stops() {
  std::string ignored, others;
  for (const StopSignal& stop : kStopSignals) {
    std::string& list = is_ignored(stop.number) ? ignored : others;
    if (stop.number != SIGHUP || &list == &others) list += cat(list.empty() ? "" : ", ", stop.name);
  }
  if (ignored.empty()) return;
  log::info(cat(
      ignored, " ignored, as set by the parent process (background job of a script or `trap ''`); ",
      "to stop, send ", others.empty() ? "SIGKILL" : others));
}

StopNotice::StopNotice(std::string work) : work_(std::move(work)) {
  // Block signals in the watcher, so that they wake calls such as poll(2) in the working threads.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  watcher_ = std::thread([this, destination = log::current()] {
    const log::Redirect redirect(destination);
    watch();
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StopNotice::~StopNotice() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  ended_.notify_one();
  watcher_.join();
}

void StopNotice::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kPollInterval, [this] { return done_; })) {
    if (!stop_requested()) continue;
    return log_stop(work_);
  }
}

}  // namespace sluice
