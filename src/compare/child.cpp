#include "compare/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "cluster/member.h"

namespace sluice::compare {
namespace {

constexpr int kCannotStart = 127;

// Prepared before fork().
struct Program {
  char* const* argv;
  char* const* environment;
  int output;
  ChildPipes pipes;
};

// Runs in the child after fork(): only async-signal-safe calls. getppid() detects a parent that
// died before prctl().
[[noreturn]] void exec_child(const Program& program, pid_t parent, const sigset_t& mask) {
  for (const StopSignal& stop : kStopSignals) {
    if (!is_ignored(stop.number)) ::signal(stop.number, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  const int input =
      program.pipes.input >= 0 ? program.pipes.input : ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = program.pipes.output >= 0 ? program.pipes.output : program.output;
  const bool ready = ::setpgid(0, 0) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                     ::getppid() == parent && ::dup2(input, 0) >= 0 && ::dup2(out, 1) >= 0 &&
                     ::dup2(program.output, 2) >= 0;
  if (ready) ::execve(program.argv[0], program.argv, program.environment);
  ::_exit(kCannotStart);
}

[[noreturn]] void fail_io(const std::string& subject, const char* action) {
  fail(ExitCode::kIo, subject, cat(action, ": ", std::generic_category().message(errno)));
}

}  // namespace

std::string find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path program = std::filesystem::path(folder) / name;
    if (!folder.empty() && ::access(program.c_str(), X_OK) == 0) return program.string();
  }
  return "";
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> merged(const Environment& changes) {
  std::vector<std::string> all = changes;
  const std::vector<std::string> of_a_job = cluster::member_variables();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::any_of(changes.begin(), changes.end(),
                    [&](const std::string& change) { return change.starts_with(name); });
    // A child is a run of its own.
    const bool is_of_a_job = std::find(of_a_job.begin(), of_a_job.end(),
                                       text.substr(0, text.find('='))) != of_a_job.end();
    if (!replaced && !is_of_a_job) all.push_back(text);
  }
  return all;
}

Child::Child(const std::vector<std::string>& command, const std::filesystem::path& output,
             const Environment& environment, const ChildPipes& pipes) {
  const std::vector<char*> argv = pointers_to(command);
  const std::vector<std::string> variables = merged(environment);
  const std::vector<char*> envp = pointers_to(variables);
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) fail_io(output.string(), "cannot write");
  // Only the child keeps the write end open, so its death causes end of file at the read end.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    const int error = errno;  // close() may change it
    ::close(file);
    errno = error;
    fail_io(command[0], "cannot start");
  }
  const pid_t parent = ::getpid();
  int error = 0;
  {
    const BlockedStops blocked;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::fcntl(ends[1], F_SETFD, 0);
      exec_child({argv.data(), envp.data(), file, pipes}, parent, blocked.before());
    }
    error = errno;
  }
  ::close(file);
  ::close(ends[1]);
  end_ = ends[0];
  if (pid_ > 0) return;
  ::close(end_);
  errno = error;
  fail_io(command[0], "cannot start");
}

Child::~Child() {
  if (pid_ > 0 && !code_) {
    ::kill(pid_, SIGKILL);
    wait_for_end(0);
  }
  if (end_ >= 0) ::close(end_);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      end_(std::exchange(other.end_, -1)),
      code_(std::exchange(other.code_, std::nullopt)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(end_, other.end_);
  std::swap(code_, other.code_);
  return *this;
}

void Child::stop(int number) const {
  if (!code_) forward_stop(pid_, number);
}

int Child::wait_for_end(int options) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid_, &status, options);
  } while (ended < 0 && errno == EINTR);
  if (ended == pid_) code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

std::optional<int> Child::exit_code() {
  if (!code_) invariant(wait_for_end(WNOHANG) >= 0, "a child is waited for only here");
  return code_;
}

}  // namespace sluice::compare
