// A child process that dies with its parent and signals its end through a file descriptor.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::compare {

// "NAME=VALUE": replaces a variable of this process, or adds one.
using Environment = std::vector<std::string>;

// The variables of this process with these changes.
std::vector<std::string> merged(const Environment& changes);
// The path of a program in PATH; empty if there is none.
std::string find_program(std::string_view name);
// For exec(3): null-terminated, of pointers into `words`, which must live as long.
std::vector<char*> pointers_to(const std::vector<std::string>& words);

// Descriptors of this process that become the child's stdin and stdout; -1: see Child.
struct ChildPipes {
  int input = -1, output = -1;
};

class Child {
 public:
  // Runs command[0] with empty stdin, and stdout and stderr appended to `output`. The child has its
  // own process group, so Ctrl-C at a terminal reaches only the parent. It inherits ignored stop
  // signals. The kernel kills it when the parent dies. kIo if the process cannot be started; a
  // missing program exits with 127.
  Child(const std::vector<std::string>& command, const std::filesystem::path& output,
        const Environment& environment = {}, const ChildPipes& pipes = {});
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
