#include "compare/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/signals.h"

namespace sluice::compare {
namespace {

constexpr int kCannotStart = 127;

// What a stop may arrive by: held back around the fork, lest the child lose one to a handler of its parent's.
sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const StopSignal& stop : kStopSignals) sigaddset(&set, stop.number);
  return set;
}

// The child's side of fork: only calls that are safe there. Whoever forked may have died before the kernel was told to watch it.
[[noreturn]] void become(char* const* words, int output, pid_t parent, const sigset_t& mask) {
  for (const StopSignal& stop : kStopSignals) {
    if (!is_ignored(stop.number)) ::signal(stop.number, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool ready = ::setpgid(0, 0) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent && ::dup2(nothing, 0) >= 0 &&
                     ::dup2(output, 1) >= 0 && ::dup2(output, 2) >= 0;
  if (ready) ::execv(words[0], words);
  ::_exit(kCannotStart);
}

[[noreturn]] void fail_io(const std::string& subject) {
  fail(ExitCode::kIo, subject, std::generic_category().message(errno), "a system that can start one more process");
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const std::filesystem::path& output) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) fail_io(output.string());
  // The write end stays open in the child alone, so that its death shows at the read end.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    ::close(file);
    fail_io(command[0]);
  }
  const pid_t parent = ::getpid();
  const sigset_t stops = stop_signals();
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, &stops, &mask);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::fcntl(ends[1], F_SETFD, 0);
    become(words.data(), file, parent, mask);
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::close(file);
  ::close(ends[1]);
  end_ = ends[0];
  if (pid_ > 0) return;
  ::close(end_);
  errno = error;
  fail_io(command[0]);
}

Child::~Child() {
  if (pid_ > 0 && !code_) {
    ::kill(pid_, SIGKILL);
    wait_for_end(0);
  }
  if (end_ >= 0) ::close(end_);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), end_(std::exchange(other.end_, -1)), code_(std::exchange(other.code_, std::nullopt)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(end_, other.end_);
  std::swap(code_, other.code_);
  return *this;
}

void Child::stop(int number) const {
  if (!code_) pass_on_stop(pid_, number);
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
  if (!code_) invariant(wait_for_end(WNOHANG) >= 0, "a child was waited for elsewhere");
  return code_;
}

}  // namespace sluice::compare
