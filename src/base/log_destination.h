// Separate logs for several runs in one process: each thread writes to its own destination.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace sluice::log {

// A console with its log file (log.h). One that is a file is no terminal and shows no progress.
class Destination {
 public:
  // Lines are appended to the file `path`. kIo if it cannot be opened.
  static std::shared_ptr<Destination> append_to(const std::string& path);
  virtual ~Destination() = default;

  // True the first time it is called with this text, for messages that are logged once.
  bool is_new(const std::string& text);

 private:
  std::mutex mutex_;
  std::set<std::string> texts_;
};

// Until destroyed, this thread writes to `destination` and not to the process's console. Threads
// that it starts do not inherit this: hand them current().
class Redirect {
 public:
  explicit Redirect(std::shared_ptr<Destination> destination);
  ~Redirect();
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;
  const std::shared_ptr<Destination>& destination() const { return destination_; }

 private:
  std::shared_ptr<Destination> destination_;
  const Redirect* before_;
};

// The destination of this thread: the process's console unless redirected.
std::shared_ptr<Destination> current();
// For messages of threads that work for all runs, such as LibTorch's: this thread's destination if
// redirected, else those of all threads that are, else the process's console.
std::vector<std::shared_ptr<Destination>> concerned();

}  // namespace sluice::log
