#include "ops/torch_warnings.h"

#include <c10/util/Exception.h>

#include <iostream>
#include <mutex>
#include <set>
#include <streambuf>

#include "base/log.h"
#include "base/text_format.h"

namespace sluice::ops {
namespace {

// A text with a changing number in it must fill neither the log nor memory.
constexpr std::size_t kMostTexts = 100;
constexpr std::size_t kMostBytes = 600;  // of one text

struct Meaning {
  std::string_view part;  // of LibTorch's text
  std::string_view words;
};

// The first that fits. "determinis" is in "does not have a deterministic implementation" and in
// "defaults to a non-deterministic algorithm".
constexpr Meaning kMeanings[] = {
    {"determinis", "this run cannot be repeated bit for bit: LibTorch uses a non-deterministic operation"},
    {"CUDA initialization", "the GPU cannot be used"},
};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// On one line: runs of blanks and line ends become one blank.
std::string joined(std::string_view text) {
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

// "[W1128 07:02:13.123456789 file.cpp:12] text" without the part that differs each time.
std::string_view without_stamp(std::string_view line) {
  const std::size_t end = line.find("] ");
  if (end == line.npos || line.size() < 3 || line[0] != '[') return line;
  const bool is_stamp = std::string_view("VIWEF").find(line[1]) != line.npos && line[2] >= '0' && line[2] <= '9';
  return is_stamp ? line.substr(end + 2) : line;
}

// What the log has shown: one for the process, like the log itself.
class Shown {
 public:
  void show(std::string_view text) {
    const std::string_view message = without_stamp(text);
    const bool is_news = message.size() != text.size() && (text[1] == 'V' || text[1] == 'I');
    const std::string line = torch_warning_line(message);
    const std::lock_guard lock(mutex_);
    if (texts_.size() >= kMostTexts || !texts_.insert(line).second) return;
    is_news ? log::info(line) : log::warn(line);
    if (texts_.size() == kMostTexts) log::warn(cat("LibTorch: ", kMostTexts, " different warnings; further ones are not shown"));
  }

 private:
  std::mutex mutex_;
  std::set<std::string> texts_;
};

// Never destroyed: LibTorch's threads may warn while the program ends.
Shown& shown() {
  static Shown& the_shown = *new Shown;
  return the_shown;
}

// The buffer of std::cerr: collects a line, then shows it.
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
        if (line_.size() <= kMostBytes) line_ += c;
        continue;
      }
      if (!joined(line_).empty()) shown().show(line_);
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
  const std::string shortened = printable(joined(text), kMostBytes);
  for (const Meaning& meaning : kMeanings)
    if (text.find(meaning.part) != text.npos) return cat(meaning.words, " (LibTorch: ", shortened, ")");
  return cat("LibTorch: ", shortened);
}

void log_torch_warnings() {
  static LogLines& lines = *new LogLines;  // never destroyed: std::cerr is flushed last of all
  std::cerr.rdbuf(&lines);
}

}  // namespace sluice::ops

// Replaces the function in libc10.so: the dynamic linker takes a program's own symbol first when it
// fills the virtual table there. A handler of ours could be set for one thread only, the calling one
// (c10::WarningUtils::set_warning_handler).
void c10::WarningHandler::process(const Warning& warning) { sluice::ops::shown().show(warning.msg()); }
