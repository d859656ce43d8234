// A child process that dies with its parent and signals its end through a file descriptor.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::compare {

class Child {
 public:
  // Runs command[0] with empty stdin, and stdout and stderr appended to `output`. The child has its
  // own process group, so Ctrl-C at a terminal reaches only the parent. It inherits ignored stop
  // signals. The kernel kills it when the parent dies. kIo if the process cannot be started; a
  // missing program exits with 127.
  Child(const std::vector<std::string>& command, const std::filesystem::path& output);
  // Kills the process if it is still running.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  // For poll(2): becomes readable (end of file) when the child has ended.
  int end_descriptor() const { return end_; }
  // Forwards the stop signal `number` (base/signals.h).
  void stop(int number) const;
  // Exit code, or 128 + signal number; nullopt while the process is running.
  std::optional<int> exit_code();

 private:
  int wait_for_end(int options);

  pid_t pid_ = -1;
  int end_ = -1;
  std::optional<int> code_;
};

}  // namespace sluice::compare
