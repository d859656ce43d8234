#include "cluster/launcher.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "cluster/address.h"

namespace sluice::cluster {
namespace {

constexpr double kGrace_s = 10;
constexpr int kCannotStart = 127;

struct Process {
  int rank = 0;
  pid_t pid = -1;
  std::optional<int> code{};
};

std::vector<std::string> environment_of(int rank, int num, int port) {
  std::vector<std::string> all = {cat("RANK=", rank), cat("LOCAL_RANK=", rank),
                                  cat("WORLD_SIZE=", num), "MASTER_ADDR=127.0.0.1",
                                  cat("MASTER_PORT=", port)};
  if (std::getenv("OMP_NUM_THREADS") == nullptr)
    all.push_back(cat("OMP_NUM_THREADS=", std::max<std::int64_t>(1, machine().num_cpus / num)));
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable, name = text.substr(0, text.find('=') + 1);
    if (std::none_of(all.begin(), all.end(),
                     [&](const std::string& one) { return one.starts_with(name); }))
      all.push_back(text);
  }
  return all;
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Process start(int rank, const std::string& program, const std::vector<std::string>& words,
              const std::vector<std::string>& variables) {
  const std::vector<char*> arguments = pointers_to(words), environment = pointers_to(variables);
  const BlockedStops blocked;
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid == 0) {
    for (const StopSignal& stop : kStopSignals)
      if (!is_ignored(stop.number)) ::signal(stop.number, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &blocked.before(), nullptr);
    // The kernel ends it with the launcher.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent)
      ::execve(program.c_str(), arguments.data(), environment.data());
    ::_exit(kCannotStart);
  }
  if (pid < 0)
    fail(ExitCode::kIo, program, cat("cannot start: ", std::generic_category().message(errno)));
  return {.rank = rank, .pid = pid};
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool update(Process& process) {
  int status = 0;
  if (process.code || ::waitpid(process.pid, &status, WNOHANG) != process.pid) return false;
  process.code = code_of(status);
  return true;
}

// Of a process that was killed, which cannot report it.
void report_kill(const Process& process) {
  const int signal = *process.code - 128;
  const char* name = ::sigabbrev_np(signal);
  log::error(cat("rank ", process.rank, " (process ", process.pid, "): killed by SIG",
                 name == nullptr ? std::to_string(signal) : name,
                 signal == SIGKILL ? ", as the system does when memory is exhausted" : ""));
}

// The ends in order of time: the first that no other explains. `stop`: the forwarded signal, which
// ends a process that is still starting; 0: none.
int result_of(const std::vector<int>& ends, int stop) {
  constexpr int kLost = static_cast<int>(ExitCode::kPeerLost);
  int result = 0;
  for (const int code : ends) {
    const int one = stop != 0 && code == 128 + stop ? static_cast<int>(ExitCode::kInterrupted)
                    : code >= 128                   ? kLost
                                                    : code;
    if (result == 0 || (result == kLost && one != 0)) result = one;
  }
  return result;
}

}  // namespace

int launch(int num, const std::string& program, const std::vector<std::string>& arguments) {
  ::signal(SIGCHLD, SIG_DFL);  // a parent may ignore it, and waitpid() would fail
  int port = 0;
  {
    const int listening = listen_at("127.0.0.1", 0);
    port = port_of(listening);
    ::close(listening);
  }
  std::vector<Process> processes;
  for (int rank = 0; rank < num; ++rank)
    processes.push_back(start(rank, program, arguments, environment_of(rank, num, port)));

  std::vector<int> ends;  // exit codes, in the order of the ends
  std::optional<double> kill_s;
  bool forwarded = false, killed = false;
  while (ends.size() < processes.size()) {
    for (Process& process : processes)
      if (update(process)) {
        ends.push_back(*process.code);
        if (*process.code != 0 && !kill_s) kill_s = monotonic_s() + kGrace_s;
        if (*process.code > 128 && !stop_requested() && !killed) report_kill(process);
      }
    if (stop_requested() && !forwarded) {
      forwarded = true;
      for (const Process& process : processes)
        if (!process.code) forward_stop(process.pid, stop_signal_number());
    }
    if (kill_s && monotonic_s() > *kill_s && !killed) {
      killed = true;
      for (const Process& process : processes)
        if (!process.code) {
          log::error(cat("rank ", process.rank, " (process ", process.pid,
                         "): killed, because it has not ended within ", kGrace_s,
                         " s after another one"));
          ::kill(process.pid, SIGKILL);
        }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return result_of(ends, forwarded ? stop_signal_number() : 0);
}

}  // namespace sluice::cluster
