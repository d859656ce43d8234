#include "cluster/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/text_format.h"

namespace sluice::cluster {
namespace {

constexpr int kBacklog = 2048, kAnyPort = 9;

std::string numeric(const sockaddr* address, socklen_t length) {
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(address, length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
    return "";
  return text.data();
}

socklen_t length_of(const sockaddr& address) {
  return address.sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

struct Addresses {
  addrinfo* first = nullptr;
  ~Addresses() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

// Of a name or numeric address.
void resolve(const std::string& host, int port, int flags, int type, Addresses& found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = type;
  hints.ai_flags = flags;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found.first);
  require(error == 0, ExitCode::kUsage, "the machine of rank 0",
          cat("`", printable(host), "` (", ::gai_strerror(error), ")"),
          "the name or address of a machine; MASTER_ADDR overrides the launcher's");
}

class Socket {
 public:
  explicit Socket(const addrinfo& of)
      : descriptor_(::socket(of.ai_family, of.ai_socktype | SOCK_CLOEXEC, of.ai_protocol)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string address_of_interface(const std::string& name) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) fail(ExitCode::kIo, "network interfaces", std::strerror(errno));
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(first, ::freeifaddrs);
  std::string v6;
  std::set<std::string> names;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6)
      names.insert(one->ifa_name);
    if (name != one->ifa_name) continue;
    if (one->ifa_addr->sa_family == AF_INET)
      return numeric(one->ifa_addr, length_of(*one->ifa_addr));
    if (one->ifa_addr->sa_family == AF_INET6 && v6.empty())
      v6 = numeric(one->ifa_addr, length_of(*one->ifa_addr));
  }
  if (!v6.empty()) return v6;
  std::string listed;
  for (const std::string& one : names) listed += cat(listed.empty() ? "" : ", ", one);
  fail(ExitCode::kUsage, "distributed.interface",
       cat("`", printable(name), "`, which has no address on ", host_name()),
       cat("one of ", listed));
}

// Connecting a UDP socket sends nothing, but chooses the route.
std::string address_towards(const std::string& host) {
  Addresses found;
  resolve(host, kAnyPort, 0, SOCK_DGRAM, found);
  for (const addrinfo* one = found.first; one != nullptr; one = one->ai_next) {
    const Socket socket(*one);
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    if (socket.get() < 0 || ::connect(socket.get(), one->ai_addr, one->ai_addrlen) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &length) != 0)
      continue;
    return numeric(reinterpret_cast<const sockaddr*>(&own), length);
  }
  fail(ExitCode::kUsage, "the machine of rank 0",
       cat("`", printable(host), "`, which ", host_name(), " cannot reach (", std::strerror(errno),
           ")"),
       "a machine in the same network");
}

// A socket can be bound to addresses of this machine only.
std::string own_address(const std::string& host) {
  Addresses found;
  resolve(host, /*port=*/0, 0, SOCK_DGRAM, found);
  for (const addrinfo* one = found.first; one != nullptr; one = one->ai_next) {
    const Socket socket(*one);
    if (socket.get() >= 0 && ::bind(socket.get(), one->ai_addr, one->ai_addrlen) == 0)
      return numeric(one->ai_addr, one->ai_addrlen);
  }
  return "";
}

int listen_at(const std::string& address, int port) {
  Addresses found;
  resolve(address, port, AI_NUMERICHOST | AI_PASSIVE, SOCK_STREAM, found);
  Socket socket(*found.first);
  const int on = 1;
  if (socket.get() < 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.get(), found.first->ai_addr, found.first->ai_addrlen) != 0 ||
      ::listen(socket.get(), kBacklog) != 0)
    fail(ExitCode::kUsage, "distributed.port",
         cat(port, " at ", address, " (", std::strerror(errno), ")"),
         "a free port of rank 0; another job may use it, or another process with this rank");
  return socket.release();
}

int port_of(int listening) {
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  invariant(::getsockname(listening, reinterpret_cast<sockaddr*>(&own), &length) == 0,
            "a listening socket");
  return ntohs(own.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in*>(&own)->sin_port
                                        : reinterpret_cast<const sockaddr_in6*>(&own)->sin6_port);
}

int connect_to(const std::string& host, int port, double timeout_s) {
  constexpr double kOneAttempt_s = 5;  // of several addresses, one may not answer
  const double begin_s = monotonic_s();
  Addresses found;
  resolve(host, port, 0, SOCK_STREAM, found);
  for (;;) {
    for (const addrinfo* one = found.first; one != nullptr; one = one->ai_next) {
      Socket socket(*one);
      timeval limit{};  // of connect()
      limit.tv_sec =
          static_cast<time_t>(std::clamp(begin_s + timeout_s - monotonic_s(), 1.0, kOneAttempt_s));
      if (socket.get() >= 0 &&
          ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
          ::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0)
        return socket.release();
    }
    if (monotonic_s() - begin_s > timeout_s)
      fail(ExitCode::kPeerLost, cat(host, ":", port),
           cat("no connection to rank 0 within ", human_duration(timeout_s), " (",
               std::strerror(errno), ")"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::string address_of_peer(int connected) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  invariant(::getpeername(connected, reinterpret_cast<sockaddr*>(&peer), &length) == 0,
            "a connected socket");
  return numeric(reinterpret_cast<const sockaddr*>(&peer), length);
}

}  // namespace sluice::cluster
