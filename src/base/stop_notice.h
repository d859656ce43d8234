// Says at once that a stop signal came, while the work that will look for it still takes its time:
// a step can last minutes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace sluice {

// While it lives, the first stop signal (base/signals.h) is answered on the console by one line,
// from a thread of its own, since a signal handler may not log: "SIGINT received: WORK; again, 1 s
// later or more, ends at once". One at a time per process.
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
  bool is_over_ = false;
  std::thread watcher_;
};

// The line, for those who look for a stop at once themselves.
void tell_of_stop(const std::string& work);

// Says which stop signals have no effect since they were ignored at the start: a user who sends one to a
// script's background job would wait. Nothing of SIGHUP, which is what nohup is for.
void tell_of_ignored_stops();

}  // namespace sluice
