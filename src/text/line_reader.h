// Lines of one corpus file, with the faults of the text counted and treated as the corpus settings say.
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

// At most config.max_line bytes (and one buffer) are held in memory.
class LineReader {
 public:
  LineReader(const std::filesystem::path& file, const CorpusConfig& config, FaultReport& report);

  // The next line. False at the end of the file.
  bool next();
  std::string_view text() const { return line_; }              // valid UTF-8 without NUL, without its line end
  bool ended_by_newline() const { return ended_by_newline_; }  // false for a last line without one
  bool must_be_skipped() const { return must_be_skipped_; }    // a fault whose policy is `skip` lies in it
  std::uint64_t offset() const { return line_offset_; }        // of the line's start in the decompressed file

  // Counts `count` faults of kind `kind`, the first at `offset`; kBadData where `policy` is `error`. `received`: what the message says
  // of this one; nothing: the kind.
  void fault(std::string_view kind, Policy policy, std::uint64_t offset, std::string_view expected, std::string_view received = {},
             std::uint64_t count = 1);
  // Applies the policies for invalid UTF-8, NUL and byte order marks to `text`, which starts at `offset`. True where it must be skipped.
  bool clean(std::string& text, std::uint64_t offset);

 private:
  bool fill();
  bool take_raw_line();
  bool take_long_line();
  void discard_rest_of_line();
  void look_at_first_bytes();
  void repair_utf8(std::string& text, std::size_t first_invalid, std::uint64_t offset);

  std::string name_;
  const CorpusConfig& config_;
  FaultReport& report_;
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of buffer_ is not yet consumed
  std::uint64_t offset_ = 0;         // of buffer_[begin_]
  std::string line_;
  std::uint64_t line_offset_ = 0;
  bool ended_by_newline_ = false;
  bool must_be_skipped_ = false;
  bool skips_next_line_ = false;
  bool continues_long_line_ = false;
  ForeignFormat foreign_;  // what the file is, where that is no text
};

}  // namespace sluice::text
