#include "text/block_builder.h"

#include "text/utf8.h"

namespace sluice::text {

namespace {

// Where to split a line longer than a block: before the last run of blanks that does not start the
// line, else between characters.
std::size_t cut_of_long_line(std::string_view line) {
  std::size_t blank = line.rfind(' ', kMaxBlockBytes);
  while (blank != std::string_view::npos && blank > 0 && line[blank - 1] == ' ') --blank;
  if (blank != std::string_view::npos && blank > 0) return blank;
  return character_boundary(line, kMaxBlockBytes);
}

}  // namespace

void BlockBuilder::begin(std::uint64_t offset) {
  inside_ = true;
  if (fresh_) block_offset_ = offset;
  fresh_ = false;
}

void BlockBuilder::flush() {
  if (!dropped_) visitor_.block(block_, block_offset_);
  block_.clear();
  fresh_ = true;
  dropped_ = false;
}

void BlockBuilder::add_line(std::string_view line, std::uint64_t offset) {
  if (!block_.empty() && block_.size() + line.size() > kMaxBlockBytes) flush();
  begin(offset);
  while (line.size() > kMaxBlockBytes) {
    const std::size_t cut = cut_of_long_line(line);
    block_.assign(line.substr(0, cut));
    flush();
    line.remove_prefix(cut);
    begin(offset);
  }
  block_ += line;
}

void BlockBuilder::add_skipped_line(std::uint64_t offset) {
  begin(offset);
  dropped_ = true;
}

void BlockBuilder::end_document(LastNewline last_newline) {
  if (!inside_) return;
  if (last_newline == LastNewline::kTrim && block_.ends_with('\n')) block_.pop_back();
  flush();
  inside_ = false;
  visitor_.end_of_document();
}

}  // namespace sluice::text
