#include "tests/dist/processes.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "base/clock.h"
#include "base/error.h"

namespace sluice::dist::testing {
namespace {

[[noreturn]] void run_child(const std::function<std::string(const cluster::Member&)>& body,
                            const cluster::Member& member, int pipe) {
  ::signal(SIGPIPE, SIG_IGN);  // as the program does
  int code = 0;
  std::string text;
  try {
    text = body(member);
  } catch (const UserError& error) {
    code = static_cast<int>(error.code());
    text = error.what();
  } catch (const std::exception& error) {
    code = 1;
    text = error.what();
  }
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t n = ::write(pipe, text.data() + at, text.size() - at);
    if (n <= 0) break;
    at += static_cast<std::size_t>(n);
  }
  ::_exit(code);
}

struct Child {
  pid_t pid = -1;
  int pipe = -1;
};

void collect(Child& child, double begin_s, double limit_s, Ended& ended) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const double left_s = begin_s + limit_s - monotonic_s();
    pollfd wait{child.pipe, POLLIN, 0};
    if (left_s <= 0 || ::poll(&wait, 1, static_cast<int>(left_s * 1000) + 1) == 0) {
      ::kill(child.pid, SIGKILL);
      ended.text += " [killed by the test: time limit]";
      break;
    }
    const ssize_t n = ::read(child.pipe, buffer.data(), buffer.size());
    if (n <= 0) break;
    ended.text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ended.seconds = monotonic_s() - begin_s;
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  ended.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  ::close(child.pipe);
}

}  // namespace

int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool ok =
      ::bind(descriptor, any, length) == 0 && ::getsockname(descriptor, any, &length) == 0;
  ::close(descriptor);
  invariant(ok, "a free port");
  return ntohs(address.sin_port);
}

std::vector<Ended> run_processes(int num,
                                 const std::function<std::string(const cluster::Member&)>& body,
                                 double limit_s) {
  const int port = free_port();
  std::vector<Child> children;
  const double begin_s = monotonic_s();
  for (int rank = 0; rank < num; ++rank) {
    std::array<int, 2> ends{};
    invariant(::pipe(ends.data()) == 0, "a pipe");
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::close(ends[0]);
      run_child(body,
                {.rank = rank,
                 .size = num,
                 .local_rank = rank,
                 .address = "127.0.0.1",
                 .port = port,
                 .launcher = "test"},
                ends[1]);
    }
    ::close(ends[1]);
    children.push_back({pid, ends[0]});
  }
  std::vector<Ended> all(children.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < children.size(); ++i)
    threads.emplace_back([&, i] { collect(children[i], begin_s, limit_s, all[i]); });
  for (std::thread& thread : threads) thread.join();
  return all;
}

}  // namespace sluice::dist::testing
