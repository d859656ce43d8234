#include "text/line_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {
constexpr std::size_t kBufferBytes = 256 << 10;
constexpr std::string_view kMarkKind = "byte order mark",
                           kWithoutMark =
                               "text without them, or corpus.byte_order_mark: replace or skip";

std::uint64_t erase_all(std::string& text, std::string_view part) {
  std::uint64_t count = 0;
  std::size_t end = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t at = std::min(text.find(part, from), text.size());
    std::copy(text.begin() + static_cast<std::ptrdiff_t>(from),
              text.begin() + static_cast<std::ptrdiff_t>(at),
              text.begin() + static_cast<std::ptrdiff_t>(end));
    end += at - from;
    count += at < text.size();
    from = at + part.size();
  }
  text.resize(end);
  return count;
}
}  // namespace

LineReader::LineReader(const std::filesystem::path& file, const CorpusConfig& config,
                       FaultReport& report)
    : name_(file.string()),
      config_(config),
      report_(report),
      source_(open_source(file)),
      buffer_(kBufferBytes) {
  inspect_first_bytes();
}

bool LineReader::fill() {
  if (begin_ != end_) return true;
  begin_ = 0;
  end_ = source_->read(buffer_);
  return end_ != 0;
}

void LineReader::inspect_first_bytes() {
  while (end_ < kForeignFormatBytes) {  // a source may return one byte at a time
    const std::size_t count = source_->read(std::span(buffer_).subspan(end_));
    if (count == 0) break;
    end_ += count;
  }
  foreign_ = foreign_format({buffer_.data(), end_});
  if (!std::string_view(buffer_.data(), end_).starts_with(kByteOrderMark)) return;
  fault(kMarkKind, config_.byte_order_mark, 0, kWithoutMark);
  skips_next_line_ = config_.byte_order_mark == Policy::kSkip;
  begin_ = offset_ = kByteOrderMark.size();
}

void LineReader::fault(std::string_view kind, Policy policy, std::uint64_t offset,
                       std::string_view expected, std::string_view received, std::uint64_t count) {
  report_.add(kind, name_, offset, count);
  if (policy != Policy::kError) return;
  // Report the format of the file rather than its first invalid byte.
  if (!foreign_.name.empty()) fail(ExitCode::kBadData, name_, foreign_.name, foreign_.expected);
  fail(ExitCode::kBadData, cat(name_, ", byte ", offset), received.empty() ? kind : received,
       expected);
}

// Appends to line_ up to the next newline, which it consumes. False at the end of the file.
bool LineReader::take_raw_line() {
  const auto max_line = static_cast<std::size_t>(config_.max_line.count);
  while (fill()) {
    const char* start = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const std::size_t available =
        newline != nullptr ? static_cast<std::size_t>(newline - start) : end_ - begin_;
    const std::size_t taken = std::min(available, max_line + 1 - line_.size());
    line_.append(start, taken);
    begin_ += taken;
    offset_ += taken;
    if (line_.size() > max_line) return take_long_line();
    if (newline == nullptr) continue;
    begin_ += 1;
    offset_ += 1;
    ended_by_newline_ = true;
    continues_long_line_ = false;
    return true;
  }
  const bool any = !line_.empty();
  continues_long_line_ = false;
  return any;
}

// Called when line_ has max_line + 1 bytes.
bool LineReader::take_long_line() {
  if (!continues_long_line_) {
    fault("long lines", config_.long_lines, line_offset_,
          cat("lines of at most ", config_.max_line.count,
              " bytes (corpus.max_line), or corpus.long_lines: replace or skip"));
  }
  if (config_.long_lines == Policy::kSkip) {
    discard_rest_of_line();
    return true;
  }
  std::size_t keep = character_boundary(line_, line_.size() - 1);
  if (keep == 0) keep = line_.size() - 1;        // not UTF-8 anyway
  const std::size_t back = line_.size() - keep;  // return the excess to the buffer
  if (begin_ >= back) {
    begin_ -= back;
  } else {
    std::string rest = line_.substr(keep);
    rest.append(buffer_.data() + begin_, end_ - begin_);
    if (rest.size() > buffer_.size()) buffer_.resize(rest.size());
    std::copy(rest.begin(), rest.end(), buffer_.begin());
    begin_ = 0;
    end_ = rest.size();
  }
  offset_ -= back;
  line_.resize(keep);
  ended_by_newline_ = true;  // each part counts as a line
  continues_long_line_ = true;
  return true;
}

void LineReader::discard_rest_of_line() {
  line_.clear();
  line_.shrink_to_fit();
  must_be_skipped_ = true;
  ended_by_newline_ = false;
  while (fill()) {
    const char* start = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const std::size_t taken =
        newline != nullptr ? static_cast<std::size_t>(newline - start) + 1 : end_ - begin_;
    begin_ += taken;
    offset_ += taken;
    if (newline == nullptr) continue;
    ended_by_newline_ = true;
    return;
  }
}

bool LineReader::next() {
  line_.clear();
  line_offset_ = offset_;
  ended_by_newline_ = false;
  must_be_skipped_ = std::exchange(skips_next_line_, false);
  if (!take_raw_line()) return false;
  if (line_.ends_with('\r') && ended_by_newline_ && !continues_long_line_) {
    fault("CRLF line ends", config_.crlf, line_offset_ + line_.size() - 1,
          "LF line ends, or corpus.crlf: replace or skip");
    line_.pop_back();
    // An empty line still ends a paragraph, so it is not skipped.
    if (config_.crlf == Policy::kSkip && !line_.empty()) must_be_skipped_ = true;
  }
  if (clean(line_, line_offset_)) must_be_skipped_ = true;
  return true;
}

bool LineReader::clean(std::string& text, std::uint64_t offset) {
  bool skip = false;
  // before repairs change offsets
  const std::size_t nul = text.find('\0'), mark = text.find(kByteOrderMark);
  const std::size_t valid = valid_utf8_prefix(text);
  if (valid != text.size()) {
    fault("invalid UTF-8", config_.invalid_utf8, offset + valid,
          "UTF-8 text, or corpus.invalid_utf8: replace or skip");
    skip = config_.invalid_utf8 == Policy::kSkip;
    if (!skip) repair_utf8(text, valid, offset);
  }
  if (nul != std::string::npos) {
    fault("NUL bytes", config_.nul_bytes, offset + nul,
          "text without NUL bytes, or corpus.nul_bytes: replace or skip");
    const auto count = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\0'));
    if (count > 1) report_.add("NUL bytes", name_, offset + nul, count - 1);
    if (config_.nul_bytes == Policy::kSkip) return true;
    std::erase(text, '\0');
  }
  // Concatenated files contain byte order mark inside the text.
  if (mark != std::string::npos) {
    fault(kMarkKind, config_.byte_order_mark, offset + mark, kWithoutMark);
    if (config_.byte_order_mark == Policy::kSkip) skip = true;
    const std::uint64_t count = erase_all(text, kByteOrderMark);
    if (count > 1) report_.add(kMarkKind, name_, offset + mark, count - 1);
  }
  return skip;
}

// Replaces each maximal invalid subpart by U+FFFD; the first one is already counted.
void LineReader::repair_utf8(std::string& text, std::size_t first_invalid, std::uint64_t offset) {
  std::string repaired(text, 0, first_invalid);
  std::string_view rest = std::string_view(text).substr(first_invalid);
  std::uint64_t count = 0;
  while (!rest.empty()) {
    repaired += kReplacementCharacter;
    rest.remove_prefix(invalid_utf8_length(rest));
    count += 1;
    const std::size_t valid = valid_utf8_prefix(rest);
    repaired += rest.substr(0, valid);
    rest.remove_prefix(valid);
  }
  if (count > 1) report_.add("invalid UTF-8", name_, offset + first_invalid, count - 1);
  text = std::move(repaired);
}

}  // namespace sluice::text
