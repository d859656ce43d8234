// Splits documents into blocks of at most kMaxBlockBytes, as specified in documents.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/documents.h"

namespace sluice::text {

class BlockBuilder {
 public:
  explicit BlockBuilder(const BlockVisitor& visitor) : visitor_(visitor) {}

  // Appends a line, with its newline if any, to the current document.
  void add_line(std::string_view line, std::uint64_t offset);
  // Drops the block of a line with a fault whose policy is `skip`.
  void add_skipped_line(std::uint64_t offset);
  // Ends the current document. kTrim removes its last newline.
  enum class LastNewline { kKeep, kTrim };
  void end_document(LastNewline last_newline);
  bool inside_document() const { return inside_; }

 private:
  void flush();
  void begin(std::uint64_t offset);

  const BlockVisitor& visitor_;
  std::string block_;
  std::uint64_t block_offset_ = 0;
  bool inside_ = false;  // the current document has a line
  bool fresh_ = true;    // the current block has no line
  bool dropped_ = false;
};

}  // namespace sluice::text
