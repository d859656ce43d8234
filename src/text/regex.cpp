#include "text/regex.h"

#include <oniguruma.h>

#include <mutex>

#include "base/error.h"
#include "base/text_format.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr std::size_t kMaxPatternBytes = 64 << 10;
constexpr unsigned long kMaxSteps = 10'000'000;
constexpr unsigned kMaxStack = 1'000'000;  // entries of the backtracking stack

const OnigUChar* bytes_of(std::string_view text) {
  return reinterpret_cast<const OnigUChar*>(text.data());
}

std::string message_of(int code, OnigErrorInfo* info) {
  OnigUChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = onig_error_code_to_str(message, code, info);
  return {reinterpret_cast<const char*>(message), static_cast<std::size_t>(length)};
}

void initialize_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    invariant(onig_initialize(encodings, 1) == ONIG_NORMAL, "cannot initialize Oniguruma");
    onig_set_retry_limit_in_match(kMaxSteps);
    onig_set_retry_limit_in_search(100 * kMaxSteps);
    onig_set_match_stack_limit_size(kMaxStack);
  });
}

struct FreeRegion {
  void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
};

}  // namespace

struct Regex::Compiled {
  OnigRegex regex = nullptr;
  std::string subject, pattern;

  Compiled(std::string_view of_pattern, std::string_view of_subject)
      : subject(of_subject), pattern(of_pattern) {
    OnigErrorInfo info{};
    const int code = onig_new(&regex, bytes_of(pattern), bytes_of(pattern) + pattern.size(),
                              ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
    if (code != ONIG_NORMAL)
      fail(ExitCode::kBadData, subject,
           cat('`', printable(pattern), "` (", message_of(code, &info), ')'),
           "a valid regular expression");
  }
  ~Compiled() { onig_free(regex); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
};

Regex::Regex(std::string_view pattern, std::string_view subject) {
  require(pattern.size() <= kMaxPatternBytes, ExitCode::kBadData, subject,
          human_bytes(pattern.size()), "a regular expression of at most 64 KiB");
  initialize_library();
  compiled_ = std::make_shared<const Compiled>(pattern, subject);
}

std::string Regex::escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.[]{}()*+-?^$|/&~#").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

void Regex::each_match(std::string_view text, const Each& each) const {
  if (text.empty()) return;
  const std::unique_ptr<OnigRegion, FreeRegion> region(onig_region_new());
  const OnigUChar *begin = bytes_of(text), *end = begin + text.size();
  std::size_t at = 0, last_end = std::string_view::npos;
  while (at <= text.size()) {
    const int found =
        onig_search(compiled_->regex, begin, end, begin + at, end, region.get(), ONIG_OPTION_NONE);
    if (found == ONIG_MISMATCH) return;
    if (found < 0)
      fail(ExitCode::kBadData, compiled_->subject,
           cat('`', printable(compiled_->pattern), "` (", message_of(found, nullptr), ')'),
           "a regular expression that can be matched quickly");
    const auto first = static_cast<std::size_t>(region->beg[0]),
               last = static_cast<std::size_t>(region->end[0]);
    if (first == last && last == last_end) {
      if (at >= text.size()) return;
      at += character_length(text.substr(at));
      continue;
    }
    at = last_end = last;
    each(first, last);
  }
}

}  // namespace sluice::text
