// RUN/log.txt during a session.
#pragma once

#include <exception>
#include <filesystem>

#include "base/log.h"

namespace sluice::run {

// Appends what is logged to the file. It stays open if an exception ends the session, so that the
// error, logged by the caller, is its last line.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& path) { log::open_file(path.string()); }
  ~LogFile() {
    if (std::uncaught_exceptions() == num_exceptions_) log::close_file();
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

 private:
  int num_exceptions_ = std::uncaught_exceptions();
};

}  // namespace sluice::run
