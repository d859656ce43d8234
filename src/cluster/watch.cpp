#include "cluster/watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/text_format.h"
#include "cluster/address.h"

namespace sluice::cluster {
namespace {

// From the first report of a time-out to the decision: every process that is alive reports, since
// all of them wait for the one that hangs. A process that
// begins to wait later than this is taken for it.
constexpr double kReports_s = 0.5;
// How long a process waits for the decision of rank 0.
constexpr double kDecision_s = 0.8;

// Lines of text over a connection.
class Line {
 public:
  explicit Line(int descriptor) : descriptor_(descriptor) {}
  ~Line() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Line(Line&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), text_(std::move(other.text_)) {}
  Line& operator=(Line&&) = delete;

  int descriptor() const { return descriptor_; }
  // A line is far smaller than the socket's buffer, so this does not block.
  void send(const std::string& line) const {
    const std::string text = line + "\n";
    (void)!::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  // What has arrived; false at the end.
  bool receive(std::vector<std::string>& lines) {
    std::array<char, 512> buffer{};
    const ssize_t n = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (n <= 0) return false;
    for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(n))) {
      if (c != '\n')
        text_ += c;
      else
        lines.push_back(std::exchange(text_, ""));
    }
    return true;
  }

 private:
  int descriptor_;
  std::string text_;
};

// "WORD NUMBER" or "WORD NUMBER CODE"
struct Words {
  std::string word;
  int number = -1, code = 0;
};
Words words_of(const std::string& line) {
  std::istringstream in(line);
  Words words;
  in >> words.word >> words.number >> words.code;
  return words;
}

std::string line_of(const Lost& lost) {
  return cat(lost.code != 0 ? "left "
             : lost.ended   ? "ended "
                            : "silent ",
             lost.rank, " ", lost.code);
}

}  // namespace

struct Watch::State {
  int rank = 0, size = 1;
  OnLost on_lost;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Lost> lost;
  int wake = ::eventfd(0, EFD_CLOEXEC);  // ends the thread, or tells it of a report
  bool leaving = false;
  std::optional<Lost> left;  // this process, with its exit code
  int num_exceptions = std::uncaught_exceptions();
  std::thread thread;

  // Rank 0.
  int listener = -1;
  std::vector<Line> unnamed;    // accepted, no "hello" yet
  std::map<int, Line> members;  // by rank
  std::map<int, int> waiting;   // who reported, and for whom it waits
  int first_suspect = 0;
  std::optional<double> decide_s;
  // Other ranks.
  std::optional<Line> server;
  bool server_left = false;
  std::optional<int> own_report;  // of rank 0; guarded by `mutex`

  ~State() {
    if (listener >= 0) ::close(listener);
    if (wake >= 0) ::close(wake);
  }

  void notify() const {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  // The first loss counts. Not with `mutex` held.
  void set_lost(const Lost& one) {
    {
      const std::lock_guard lock(mutex);
      if (lost || leaving) return;
      lost = one;
    }
    for (const auto& [number, line] : members) line.send(line_of(one));
    if (on_lost) on_lost(one);
    changed.notify_all();
  }

  void add_report(int from, int suspect) {
    if (waiting.empty()) {
      first_suspect = suspect;
      decide_s = monotonic_s() + kReports_s;
    }
    waiting.emplace(from, suspect);
    if (waiting.size() + 1 >= static_cast<std::size_t>(size)) decide_s = monotonic_s();
  }

  // Two of the others wait for each other only if they are cut off from each other: each sends
  // before it waits. Rank 0 does not count: in a sum over all, it names any other.
  bool are_cut_off() const {
    return std::any_of(waiting.begin(), waiting.end(), [this](const auto& report) {
      const auto other = waiting.find(report.second);
      return report.first != 0 && report.second != 0 && other != waiting.end() &&
             other->second == report.first;
    });
  }

  void decide() {
    decide_s.reset();
    int silent = first_suspect;  // if all wait: their connection is broken
    // Those that have not reported may still compute if others are cut off from each other.
    if (waiting.contains(first_suspect) && !are_cut_off())
      for (int one = size - 1; one >= 0; --one)
        if (!waiting.contains(one)) silent = one;
    set_lost({silent, false});
  }

  // Whether the member stays.
  bool hear(int from, std::span<const std::string> lines) {
    for (const std::string& text : lines) {
      const Words words = words_of(text);
      if (words.word == "waits") add_report(from, words.number);
      if (words.word == "left") set_lost({from, true, words.code});
      if (words.word == "bye" || words.word == "left") return false;
    }
    return true;
  }

  // Whether the member is still there.
  bool read_member(int from, Line& line) {
    std::vector<std::string> lines;
    const bool open = line.receive(lines);
    if (!hear(from, lines)) return false;
    if (!open) set_lost({from, true});
    return open;
  }

  void read_unnamed(std::size_t i) {
    std::vector<std::string> lines;
    const bool open = unnamed[i].receive(lines);
    if (open && lines.empty()) return;
    const Words words = lines.empty() ? Words() : words_of(lines[0]);
    Line line = std::move(unnamed[i]);
    std::vector<Line> others;
    for (std::size_t k = 0; k < unnamed.size(); ++k)
      if (k != i) others.push_back(std::move(unnamed[k]));
    unnamed = std::move(others);
    if (!open || words.word != "hello" || words.number < 1 || words.number >= size)
      return;  // not a member
    if (lost) line.send(line_of(*lost));
    members.emplace(words.number, std::move(line));
    // What it has said since.
    if (!hear(words.number, std::span(lines).subspan(1))) members.erase(words.number);
  }

  std::vector<pollfd> descriptors() const {
    std::vector<pollfd> all = {{wake, POLLIN, 0}};
    if (listener >= 0) all.push_back({listener, POLLIN, 0});
    if (server && !server_left) all.push_back({server->descriptor(), POLLIN, 0});
    for (const Line& line : unnamed) all.push_back({line.descriptor(), POLLIN, 0});
    for (const auto& [number, line] : members) all.push_back({line.descriptor(), POLLIN, 0});
    return all;
  }

  void serve_once(const std::set<int>& ready) {
    for (auto at = members.begin(); at != members.end();) {
      const bool stays =
          !ready.contains(at->second.descriptor()) || read_member(at->first, at->second);
      at = stays ? std::next(at) : members.erase(at);
    }
    for (std::size_t i = unnamed.size(); i-- > 0;)
      if (ready.contains(unnamed[i].descriptor())) read_unnamed(i);
    if (ready.contains(listener)) {
      const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted >= 0) unnamed.emplace_back(accepted);
    }
    if (decide_s && monotonic_s() >= *decide_s) decide();
  }

  // Whether rank 0 is still there.
  bool read_server() {
    std::vector<std::string> lines;
    const bool open = server->receive(lines);
    for (const std::string& text : lines) {
      const Words words = words_of(text);
      if (words.word == "bye") return false;
      set_lost({words.number, words.word != "silent", words.code});
    }
    if (!open) set_lost({0, true});
    return open;
  }

  void run() {
    for (;;) {
      std::vector<pollfd> all = descriptors();
      const double left_s = decide_s ? std::max(0.0, *decide_s - monotonic_s()) : -0.001;
      ::poll(all.data(), all.size(), static_cast<int>(left_s * 1000) + (decide_s ? 1 : 0));
      std::set<int> ready;
      for (const pollfd& one : all)
        if (one.revents != 0) ready.insert(one.fd);
      if (ready.contains(wake)) {
        std::uint64_t count = 0;
        (void)!::read(wake, &count, sizeof count);
        const std::lock_guard lock(mutex);
        if (leaving) return;
        if (own_report) {
          add_report(rank, *own_report);
          own_report.reset();
        }
      }
      if (server && !server_left && ready.contains(server->descriptor()))
        server_left = !read_server();
      if (rank == 0) serve_once(ready);
    }
  }

  Lost wait_for_decision(const Lost& otherwise) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::duration<double>(kDecision_s),
                     [this] { return lost.has_value(); });
    return lost.value_or(otherwise);
  }
};

Watch::Watch(std::unique_ptr<State> state) : state_(std::move(state)) {
  invariant(state_->wake >= 0, "an eventfd");
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

std::unique_ptr<Watch> Watch::serve(int descriptor, int size, OnLost on_lost) {
  auto state = std::make_unique<State>();
  state->size = size;
  state->on_lost = std::move(on_lost);
  state->listener = descriptor;
  return std::unique_ptr<Watch>(new Watch(std::move(state)));
}

std::unique_ptr<Watch> Watch::join(const std::string& address, int port, int rank, double timeout_s,
                                   OnLost on_lost) {
  auto state = std::make_unique<State>();
  state->rank = rank;
  state->on_lost = std::move(on_lost);
  state->server.emplace(connect_to(address, port, timeout_s));
  state->server->send(cat("hello ", rank));
  return std::unique_ptr<Watch>(new Watch(std::move(state)));
}

Watch::~Watch() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->leaving = true;
  }
  state_->notify();
  state_->thread.join();
  if (!state_->left && std::uncaught_exceptions() > state_->num_exceptions) return;
  const std::string last = state_->left ? line_of(*state_->left) : "bye";
  if (state_->server) state_->server->send(last);
  for (const auto& [rank, line] : state_->members) line.send(last);
}

void Watch::leave(int code) {
  const Lost self{state_->rank, true, code};
  {
    const std::lock_guard lock(state_->mutex);
    state_->left = self;
  }
}

std::optional<Lost> Watch::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lost;
}

Lost Watch::after_break(int suspect) { return state_->wait_for_decision({suspect, true}); }

Lost Watch::after_timeout(int suspect) {
  if (state_->rank == 0) {
    {
      const std::lock_guard lock(state_->mutex);
      state_->own_report = suspect;
    }
    state_->notify();
  } else if (state_->server) {
    state_->server->send(cat("waits ", suspect));
  }
  // Rank 0 decides; if it does not, it is the one that hangs.
  return state_->wait_for_decision({state_->rank == 0 ? suspect : 0, false});
}

}  // namespace sluice::cluster
