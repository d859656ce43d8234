#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log_destination.h"
#include "base/text_format.h"

namespace sluice::log {
namespace {

// Prefixes warnings and errors with "warning: " and "error: ".
class Prefix final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view text;
    if (message.level == spdlog::level::warn) text = "warning: ";
    if (message.level == spdlog::level::err) text = "error: ";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Prefix>();
  }
};

std::unique_ptr<spdlog::formatter> formatter(const std::string& pattern) {
  auto result = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  result->add_flag<Prefix>('*').set_pattern(pattern);
  return result;
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

// Escapes control characters in names, values and data: see printable(). An error may report
// several problems, one per line; its builder escapes line feeds in names (fail() does).
std::string without_controls(spdlog::level::level_enum level, std::string_view text) {
  if (level != spdlog::level::err) return printable(text, std::string::npos);
  std::string lines;
  for (std::size_t end = 0; end != std::string_view::npos;
       text.remove_prefix(std::min(end + 1, text.size()))) {
    end = text.find('\n');
    lines += cat(lines.empty() ? "" : "\n", printable(text.substr(0, end), std::string::npos));
  }
  return lines;
}

// State: the cursor position and the log file.
class Console final : public Destination {
 public:
  // The console of the process.
  Console() {
    const char* kind = std::getenv("TERM");
    is_terminal_ =
        isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
    const auto color = is_terminal_ && !is_set("NO_COLOR") ? spdlog::color_mode::always
                                                           : spdlog::color_mode::never;
    write_to(std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(color));
  }
  explicit Console(const std::string& path) {
    try {
      write_to(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
    } catch (const spdlog::spdlog_ex& error) {
      fail(ExitCode::kIo, path, cat("cannot open: ", error.what()));
    }
  }

  bool is_terminal() const { return is_terminal_; }

  void line(spdlog::level::level_enum level, std::string_view message) {
    const std::string text = without_controls(level, message);
    const std::lock_guard lock(mutex_);
    end_progress_locked();
    console_->log(level, spdlog::string_view_t(text.data(), text.size()));
    console_->flush();
    if (file_ == nullptr) {
      if (is_first_file_ && level == spdlog::level::warn && early_.size() < kMaxEarly)
        early_.emplace_back(text);
      return;
    }
    file_->log(level, spdlog::string_view_t(text.data(), text.size()));
    file_->flush();
    if (!file_error_.empty()) abandon_file_locked();
  }

  // Overwrites the current live lines; leaves the cursor at the end of the last one.
  void progress(std::span<const std::string> lines) {
    if (!is_terminal_ || lines.empty()) return;
    const std::lock_guard lock(mutex_);
    if (num_live_ > 1) std::fprintf(stderr, "\x1b[%zuA", num_live_ - 1);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      // a wrapped line could not be overwritten
      const std::string shown = printable(lines[i], terminal_columns() - 4);
      std::fprintf(stderr, "%s\r%s\x1b[K", i == 0 ? "" : "\n", shown.c_str());
    }
    if (num_live_ > lines.size()) std::fputs("\x1b[J", stderr);
    std::fflush(stderr);
    num_live_ = lines.size();
  }

  void end_progress() {
    const std::lock_guard lock(mutex_);
    end_progress_locked();
  }

  void open_file(const std::string& path) {
    const std::lock_guard lock(mutex_);
    file_error_.clear();
    try {
      auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
      sink->set_formatter(formatter("%Y-%m-%dT%H:%M:%SZ %*%v"));
      file_ = std::make_unique<spdlog::logger>("file", std::move(sink));
    } catch (const spdlog::spdlog_ex& error) {
      fail(ExitCode::kIo, path, cat("cannot open the log file: ", error.what()));
    }
    file_->set_error_handler([this](const std::string& error) { file_error_ = error; });
    for (const std::string& text : early_)
      file_->log(spdlog::level::warn, spdlog::string_view_t(text));
    early_.clear();
    is_first_file_ = false;
  }

  void close_file() {
    const std::lock_guard lock(mutex_);
    file_.reset();
  }

 private:
  void write_to(std::shared_ptr<spdlog::sinks::sink> sink) {
    sink->set_formatter(formatter("%^%*%$%v"));
    console_ = std::make_unique<spdlog::logger>("console", std::move(sink));
    console_->set_error_handler([](const std::string&) {});  // it failed: nowhere to report it
  }

  void end_progress_locked() {
    if (num_live_ == 1) std::fputc('\n', stderr);
    // several lines are redrawn below the next output
    if (num_live_ > 1) std::fprintf(stderr, "\x1b[%zuA\r\x1b[J", num_live_ - 1);
    num_live_ = 0;
  }

  void abandon_file_locked() {
    console_->log(spdlog::level::warn, cat("stopped writing the log file: ", file_error_));
    file_.reset();
  }

  std::mutex mutex_;
  bool is_terminal_ = false;
  std::size_t num_live_ = 0;  // progress lines on screen; the cursor is at the end of the last
  std::unique_ptr<spdlog::logger> console_, file_;
  std::string file_error_;
  // Warnings issued before the run directory exists; copied to the first log file.
  static constexpr std::size_t kMaxEarly = 100;
  std::vector<std::string> early_;
  bool is_first_file_ = true;
};

const std::shared_ptr<Console>& process_console() {
  static const auto the_console = std::make_shared<Console>();
  return the_console;
}

// Destinations of redirected threads, and how many threads each has.
struct Redirected {
  std::mutex mutex;
  std::map<std::shared_ptr<Destination>, int> all;

  void add(const std::shared_ptr<Destination>& destination, int count) {
    const std::lock_guard lock(mutex);
    if ((all[destination] += count) == 0) all.erase(destination);
  }
};

Redirected& redirected() {
  static Redirected the_redirected;
  return the_redirected;
}

const Redirect*& innermost_redirect() {
  thread_local const Redirect* innermost = nullptr;
  return innermost;
}

// Destination has no other derived class.
Console& console() {
  const Redirect* redirect = innermost_redirect();
  return redirect != nullptr ? static_cast<Console&>(*redirect->destination()) : *process_console();
}

}  // namespace

bool Destination::is_new(const std::string& text) {
  const std::lock_guard lock(mutex_);
  return texts_.insert(text).second;
}

std::shared_ptr<Destination> Destination::append_to(const std::string& path) {
  return std::make_shared<Console>(path);
}

Redirect::Redirect(std::shared_ptr<Destination> destination)
    : destination_(std::move(destination)), before_(innermost_redirect()) {
  if (destination_ != process_console()) redirected().add(destination_, 1);
  innermost_redirect() = this;
}

Redirect::~Redirect() {
  if (destination_ != process_console()) redirected().add(destination_, -1);
  innermost_redirect() = before_;
}

std::shared_ptr<Destination> current() {
  const Redirect* redirect = innermost_redirect();
  return redirect != nullptr ? redirect->destination() : process_console();
}

std::vector<std::shared_ptr<Destination>> concerned() {
  if (current() != process_console()) return {current()};
  std::vector<std::shared_ptr<Destination>> found;
  {
    const std::lock_guard lock(redirected().mutex);
    for (const auto& [destination, count] : redirected().all) found.push_back(destination);
  }
  if (found.empty()) found.push_back(process_console());
  return found;
}

void info(std::string_view line) { console().line(spdlog::level::info, line); }
void warn(std::string_view line) { console().line(spdlog::level::warn, line); }
void error(std::string_view line) { console().line(spdlog::level::err, line); }
void progress(std::string_view line) {
  const std::string one(line);
  console().progress({&one, 1});
}
void progress(std::span<const std::string> lines) { console().progress(lines); }
bool is_terminal() { return console().is_terminal(); }
void end_progress() { console().end_progress(); }
void open_file(const std::string& path) { console().open_file(path); }
void close_file() { console().close_file(); }

}  // namespace sluice::log
