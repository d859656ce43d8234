#include "ops/torch_warnings.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <iostream>
#include <mutex>
#include <set>
#include <streambuf>

#include "base/log.h"
#include "base/log_destination.h"
#include "base/text_format.h"

namespace sluice::ops {
namespace {

// Limits: messages with a varying number must not fill the log or memory.
constexpr std::size_t kMaxTexts = 100;
constexpr std::size_t kMaxBytes = 600;  // per text

struct Explanation {
  std::string_view pattern;  // substring of LibTorch's text
  std::string_view text;
};

// The first match applies. "determinis" matches "does not have a deterministic implementation" and
// "defaults to a non-deterministic algorithm".
constexpr Explanation kExplanations[] = {
    {"determinis",
     "this run is not bit-for-bit reproducible: LibTorch uses a non-deterministic operation"},
    {"CUDA initialization", "the GPU cannot be used"},
};

// Lines that tell a user nothing: stack traces, that a network has no names for its addresses, and
// what c10d says before it throws an error that is reported.
constexpr std::string_view kNoise[] = {
    "The hostname of the client socket cannot be retrieved",
    "TCP client failed to connect/validate to host",
    "waitForInput: poll for socket",
    "recvValue failed on",
    "recvVector failed on",
    "recvValueWithTimeout failed on",
};
bool is_noise(std::string_view line) {
  return line.starts_with("frame #") || line.starts_with("Exception raised from ") ||
         std::any_of(std::begin(kNoise), std::end(kNoise),
                     [&](std::string_view text) { return line.find(text) != line.npos; });
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Replaces each run of whitespace by one space and trims.
std::string collapse_whitespace(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!is_space(c)) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// Removes the prefix of "[W1128 07:02:13.123456789 file.cpp:12] text", which varies.
std::string_view without_log_prefix(std::string_view line) {
  const std::size_t end = line.find("] ");
  if (end == line.npos || line.size() < 3 || line[0] != '[') return line;
  const bool is_prefix =
      std::string_view("VIWEF").find(line[1]) != line.npos && line[2] >= '0' && line[2] <= '9';
  return is_prefix ? line.substr(end + 2) : line;
}

// Writes each distinct text once to each log that it concerns.
class WarningLog {
 public:
  void write(std::string_view text) {
    const std::string_view message = without_log_prefix(text);
    if (is_noise(message)) return;
    const bool is_info = message.size() != text.size() && (text[1] == 'V' || text[1] == 'I');
    const std::string line = torch_warning_line(message);
    const std::lock_guard lock(mutex_);
    if (texts_.size() >= kMaxTexts && !texts_.contains(line)) return;
    const bool is_last = texts_.insert(line).second && texts_.size() == kMaxTexts;
    for (const auto& destination : log::concerned()) {
      if (!destination->is_new(line)) continue;
      const log::Redirect redirect(destination);
      is_info ? log::info(line) : log::warn(line);
      if (is_last)
        log::warn(
            cat("LibTorch: ", kMaxTexts, " distinct warnings logged; suppressing further ones"));
    }
  }

 private:
  std::mutex mutex_;
  std::set<std::string> texts_;  // of the whole process
};

// Never destroyed: LibTorch's threads may warn during program exit.
WarningLog& warning_log() {
  static WarningLog& instance = *new WarningLog;
  return instance;
}

// Stream buffer for std::cerr that writes complete lines to the log.
class LogLines final : public std::streambuf {
 protected:
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char byte = traits_type::to_char_type(c);
    xsputn(&byte, 1);
    return c;
  }

  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    const std::lock_guard lock(mutex_);
    for (const char c : std::string_view(bytes, static_cast<std::size_t>(count))) {
      if (c != '\n') {
        if (line_.size() <= kMaxBytes) line_ += c;
        continue;
      }
      if (!collapse_whitespace(line_).empty()) warning_log().write(line_);
      line_.clear();
    }
    return count;
  }

 private:
  std::mutex mutex_;
  std::string line_;
};

}  // namespace

std::string torch_warning_line(std::string_view text) {
  const std::string shortened = printable(collapse_whitespace(text), kMaxBytes);
  for (const Explanation& explanation : kExplanations)
    if (text.find(explanation.pattern) != text.npos)
      return cat(explanation.text, " (LibTorch: ", shortened, ")");
  return cat("LibTorch: ", shortened);
}

void log_torch_warnings() {
  static LogLines& lines = *new LogLines;  // never destroyed: std::cerr is flushed last
  std::cerr.rdbuf(&lines);
}

}  // namespace sluice::ops

// Overrides the function in libc10.so: the dynamic linker prefers the program's symbol when it
// fills the virtual table there. c10::WarningUtils::set_warning_handler is no alternative, since it
// applies to the calling thread only.
void c10::WarningHandler::process(const Warning& warning) {
  sluice::ops::warning_log().write(warning.msg());
}
