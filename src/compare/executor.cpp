#include "compare/executor.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/saved_state.h"

namespace sluice::compare {
namespace {

constexpr int kInternal = static_cast<int>(ExitCode::kInternal);

void wait_for_any(std::vector<pollfd> ends, int limit_ms) {
  const int result = ::poll(ends.data(), ends.size(), limit_ms);
  invariant(result >= 0 || errno == EINTR, "poll failed");
}

class Processes final : public Executor {
 public:
  explicit Processes(Environment environment) : environment_(std::move(environment)) {}

  void start(std::size_t number, const Job& job) override {
    running_.push_back({number, Child(job.command, job.output, environment_)});
  }
  std::vector<End> wait(int limit_ms) override {
    std::vector<pollfd> ends;
    for (const Running& one : running_)
      ends.push_back({.fd = one.child.end_descriptor(), .events = POLLIN, .revents = 0});
    wait_for_any(std::move(ends), limit_ms);
    std::vector<End> ended;
    std::erase_if(running_, [&](Running& one) {
      const std::optional<int> code = one.child.exit_code();
      if (code) ended.push_back({one.number, *code});
      return code.has_value();
    });
    return ended;
  }
  void stop(int signal_number) override {
    for (const Running& one : running_) one.child.stop(signal_number);
  }

 private:
  struct Running {
    std::size_t number = 0;
    Child child;
  };
  Environment environment_;
  std::vector<Running> running_;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

struct Pipe {
  Descriptor out, in;  // read, write
};
Pipe make_pipe(const std::string& subject) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    fail(ExitCode::kIo, subject, cat("cannot start: ", std::generic_category().message(errno)));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// A process that reads jobs from stdin and writes their ends to stdout; see app/worker_command.cpp.
class Worker {
 public:
  Worker(const WorkerCommand& command, const Environment& environment)
      : Worker(command, environment, make_pipe(command.command[0]), make_pipe(command.command[0])) {
  }

  // If the process has ended, its end is what the job gets: no error here.
  void start(std::size_t number, const Job& job) {
    running_.push_back(number);
    std::string words = std::to_string(number) + '\0';
    for (const std::filesystem::path* path : {&job.config, &job.run_dir, &job.output})
      words += path->string() + '\0';
    for (std::string_view rest = words; !rest.empty();) {
      const ssize_t written = ::write(jobs_.get(), rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  // Ends of jobs, after their line or with the process.
  std::vector<Executor::End> ended() {
    std::vector<Executor::End> found;
    const std::optional<int> code = child_.exit_code();
    read_lines(found);
    if (!code) return found;
    has_ended_ = true;
    // A process without an error ends after its jobs.
    for (const std::size_t number : running_)
      found.push_back({number, *code == 0 ? kInternal : *code});
    running_.clear();
    return found;
  }
  bool is_running(std::size_t number) const {
    return std::find(running_.begin(), running_.end(), number) != running_.end();
  }
  bool is_idle() const { return running_.empty(); }
  // A process that a signal has stopped stops all later jobs, too, and after an error of the GPU
  // every use of it fails.
  bool takes_jobs() const { return !has_ended_ && !is_spoiled_; }
  void stop(int signal_number) const { child_.stop(signal_number); }
  pollfd lines() const { return {.fd = lines_.get(), .events = POLLIN, .revents = 0}; }

 private:
  Worker(const WorkerCommand& command, const Environment& environment, Pipe jobs, Pipe lines)
      : jobs_(std::move(jobs.in)),
        lines_(std::move(lines.out)),
        child_(command.command, command.output, environment,
               {.input = jobs.out.get(), .output = lines.in.get()}) {
    ::fcntl(lines_.get(), F_SETFL, O_NONBLOCK);
  }

  void read_lines(std::vector<Executor::End>& found) {
    std::array<char, 4096> piece;
    for (ssize_t got; (got = ::read(lines_.get(), piece.data(), piece.size())) > 0;)
      text_.append(piece.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1)) {
      std::istringstream words(text_.substr(0, end));
      Executor::End one;
      if (!(words >> one.number >> one.code) || !is_running(one.number)) continue;
      std::erase(running_, one.number);
      is_spoiled_ = is_spoiled_ || is_stopped(one.code) || one.code == kInternal;
      found.push_back(one);
    }
  }

  Descriptor jobs_, lines_;
  Child child_;
  std::vector<std::size_t> running_;
  std::string text_;  // not yet a whole line
  bool has_ended_ = false, is_spoiled_ = false;
};

class Threads final : public Executor {
 public:
  Threads(WorkerCommand command, Environment environment)
      : command_(std::move(command)), environment_(std::move(environment)) {}

  void start(std::size_t number, const Job& job) override {
    if (workers_.empty() || !workers_.back()->takes_jobs())
      workers_.push_back(std::make_unique<Worker>(command_, environment_));
    workers_.back()->start(number, job);
  }
  std::vector<End> wait(int limit_ms) override {
    std::vector<pollfd> lines;
    for (const auto& worker : workers_) lines.push_back(worker->lines());
    wait_for_any(std::move(lines), limit_ms);
    std::vector<End> ended;
    for (const auto& worker : workers_) {
      const std::vector<End> more = worker->ended();
      ended.insert(ended.end(), more.begin(), more.end());
    }
    std::erase_if(workers_,
                  [](const auto& worker) { return worker->is_idle() && !worker->takes_jobs(); });
    return ended;
  }
  void stop(int signal_number) override {
    for (const auto& worker : workers_) worker->stop(signal_number);
  }

 private:
  WorkerCommand command_;
  Environment environment_;
  std::vector<std::unique_ptr<Worker>> workers_;  // jobs start in the last one
};

}  // namespace

std::unique_ptr<Executor> make_executor(const std::optional<WorkerCommand>& worker,
                                        const Environment& environment) {
  if (worker) return std::make_unique<Threads>(*worker, environment);
  return std::make_unique<Processes>(environment);
}

}  // namespace sluice::compare
