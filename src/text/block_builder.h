// Cuts documents into blocks of at most kMaxBlockBytes, as documents.h promises.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/documents.h"

namespace sluice::text {

class BlockBuilder {
 public:
  explicit BlockBuilder(const BlockVisitor& visitor) : visitor_(visitor) {}

  // The next line of the current document, its newline included where it has one.
  void add_line(std::string_view line, std::uint64_t offset);
  // A line with a fault whose policy is `skip`: the block that it would lie in is dropped.
  void add_skipped_line(std::uint64_t offset);
  // Ends the current document. `trim_newline`: its last newline is none of its text.
  enum class LastNewline { kKeep, kTrim };
  void end_document(LastNewline last_newline);
  bool inside_document() const { return inside_; }

 private:
  void flush();
  void begin(std::uint64_t offset);

  const BlockVisitor& visitor_;
  std::string block_;
  std::uint64_t block_offset_ = 0;
  bool inside_ = false;  // a line of the document has come
  bool fresh_ = true;    // nothing has been added to block_
  bool dropped_ = false;
};

}  // namespace sluice::text
