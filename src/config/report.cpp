#include "config/report.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::config {
namespace {

// Bounds the report: a hostile file may have one problem per byte.
constexpr std::size_t kMaxProblems = 100;
constexpr std::size_t kMaxHint = 200;  // three full paths
constexpr std::size_t kUnlimited = std::string::npos;

// "received VALUE"; the states "missing", "unknown key" and "duplicate key" are not values.
std::string received_words(std::string_view received) {
  const bool is_state =
      received == "missing" || received == "unknown key" || received.starts_with("duplicate key");
  return cat(is_state ? "" : "received ", received);
}

}  // namespace

int Report::add_source(std::string_view name, bool has_lines, std::string_view path_prefix) {
  sources_.push_back({printable(name, kUnlimited), has_lines, printable(path_prefix, kUnlimited)});
  return static_cast<int>(sources_.size()) - 1;
}

std::string Report::place(Mark mark, bool with_column) const {
  if (mark.source < 0 || static_cast<std::size_t>(mark.source) >= sources_.size()) return "";
  const Source& source = sources_[static_cast<std::size_t>(mark.source)];
  if (!source.has_lines || mark.line == 0) return source.name;
  return with_column ? cat(source.name, ':', mark.line, ':', mark.column)
                     : cat(source.name, ':', mark.line);
}

std::string Report::prefixed(Mark mark, std::string_view path) const {
  const bool has_source =
      mark.source >= 0 && static_cast<std::size_t>(mark.source) < sources_.size();
  return cat(has_source ? sources_[static_cast<std::size_t>(mark.source)].path_prefix : "",
             printable(path, kUnlimited));
}

void Report::store(Mark mark, std::string text) {
  if (problems_.size() >= kMaxProblems) {
    ++num_omitted_;
  } else {
    problems_.push_back({mark, std::move(text)});
  }
}

void Report::add(Mark mark, std::string_view path, std::string_view received,
                 std::string_view expected, std::string_view hint) {
  if (problems_.size() >= kMaxProblems) return store(mark, {});
  std::string text = place(mark);
  if (!text.empty() && !path.empty()) text += ": ";
  if (!path.empty()) text += prefixed(mark, path);
  text += cat(text.empty() ? "" : ": ", received_words(received), "; expected ", expected);
  if (!hint.empty()) text += cat(" (did you mean `", printable(hint, kMaxHint), "`?)");
  store(mark, std::move(text));
}

void Report::add_fatal(Mark mark, std::string_view path, std::string_view received,
                       std::string_view expected) {
  fatal_ = true;
  std::string text = cat(place(mark, true), path.empty() ? "" : cat(": ", prefixed(mark, path)),
                         ": received ", received, "; expected ", expected);
  if (problems_.size() >= kMaxProblems) problems_.pop_back();
  store(mark, std::move(text));
}

bool Report::full() const { return problems_.size() >= kMaxProblems; }

std::string Report::text() const {
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.mark.source, a.mark.line, a.mark.column) <
           std::tie(b.mark.source, b.mark.line, b.mark.column);
  });
  std::string message;
  for (const Problem& problem : sorted) message += cat(message.empty() ? "" : "\n", problem.text);
  if (num_omitted_ > 0) message += cat("\n... and ", num_omitted_, " more problems");
  return message;
}

void Report::throw_if_any() const {
  if (!problems_.empty()) throw UserError(ExitCode::kUsage, text());
}

}  // namespace sluice::config
