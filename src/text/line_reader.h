// Reads the lines of one corpus file; counts faults in the text and handles them by the policies of
// the corpus settings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/corpus_config.h"
#include "text/decompress.h"
#include "text/documents.h"
#include "text/foreign_format.h"

namespace sluice::text {

// Memory: at most config.max_line bytes and one buffer.
class LineReader {
 public:
  LineReader(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report);

  // Advances to the next line. False at the end of the file.
  bool next();
  // Valid UTF-8 without NUL bytes and without line end.
  std::string_view text() const { return line_; }
  bool ended_by_newline() const { return ended_by_newline_; }  // may be false for the last line
  // True if the line has a fault with the policy `skip`.
  bool must_be_skipped() const { return must_be_skipped_; }
  // Of the start of the line in the decompressed file.
  std::uint64_t offset() const { return line_offset_; }

  // Counts `count` faults of kind `kind`, the first at `offset`; kBadData if `policy` is `error`.
  // `received`: for the message; defaults to the kind.
  void fault(std::string_view kind, Policy policy, std::uint64_t offset, std::string_view expected,
             std::string_view received = {}, std::uint64_t count = 1);
  // Applies the policies for invalid UTF-8, NUL and byte order mark to `text`, which starts at
  // `offset`. True if the text must be skipped.
  bool clean(std::string& text, std::uint64_t offset);

 private:
  bool fill();
  bool take_raw_line();
  bool take_long_line();
  void discard_rest_of_line();
  void inspect_first_bytes();
  void repair_utf8(std::string& text, std::size_t first_invalid, std::uint64_t offset);

  std::string name_;
  const CorpusConfig& config_;
  FaultReport& report_;
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread part of buffer_
  std::uint64_t offset_ = 0;         // of buffer_[begin_]
  std::string line_;
  std::uint64_t line_offset_ = 0;
  bool ended_by_newline_ = false;
  bool must_be_skipped_ = false;
  bool skips_next_line_ = false;
  bool continues_long_line_ = false;
  ForeignFormat foreign_;  // set if the file is not text
};

}  // namespace sluice::text
