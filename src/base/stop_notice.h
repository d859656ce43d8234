// Acknowledges stop signals immediately, as the operation that polls for them may take minutes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace sluice {

// During its lifetime, a background thread logs the first stop signal (base/signals.h), since a
// signal handler must not log: "SIGINT received: WORK; send it again after 1 s to stop
// immediately". Logs where the thread that made it does; at most one instance for each destination
// (base/log_destination.h).
class StopNotice {
 public:
  explicit StopNotice(std::string work);
  ~StopNotice();
  StopNotice(const StopNotice&) = delete;
  StopNotice& operator=(const StopNotice&) = delete;

 private:
  void watch();

  std::string work_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::thread watcher_;
};

// Logs the same line, for callers that poll frequently themselves.
void log_stop(const std::string& work);

// Logs which stop signals have no effect because they were ignored at process start, as in a
// script's background job. Omits SIGHUP, which nohup ignores on purpose.
void log_ignored_stops();

}  // namespace sluice
