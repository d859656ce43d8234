// A child process that ends with its parent, whatever ends the parent, and that says when it is over without being asked.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::compare {

class Child {
 public:
  // Runs command[0] with stdout and stderr appended to `output`, stdin empty, in a process group of
  // its own: Ctrl-C at a terminal reaches the parent alone. Stop signals that this process ignores
  // stay ignored there. The kernel kills it when the parent dies. kIo where it cannot be started; a
  // program that is not there ends with 127.
  Child(const std::vector<std::string>& command, const std::filesystem::path& output);
  // Kills it where it still runs.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  // A descriptor that becomes readable (end of file) when the child has ended: for poll(2).
  int end_descriptor() const { return end_; }
  // Passes on the stop signal `number` of this process (base/signals.h): save and stop.
  void stop(int number) const;
  // Its exit code, 128 + signal where one ended it; nothing while it runs.
  std::optional<int> exit_code();

 private:
  int wait_for_end(int options);

  pid_t pid_ = -1;
  int end_ = -1;
  std::optional<int> code_;
};

}  // namespace sluice::compare
