// The decoder of a pipeline of the `tokenizers` library: Sequence, ByteLevel, ByteFallback, Fuse,
// Metaspace, Replace and Strip.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "text/json_field.h"

namespace sluice::text {

class TokenDecoder {
 public:
  TokenDecoder() = default;  // joins the tokens with blanks, as the library without a decoder
  explicit TokenDecoder(const JsonField& decoder);  // kBadData if it is invalid or unsupported
  std::string decode(std::vector<std::string> tokens) const;
  bool is_byte_level() const { return is_byte_level_; }

 private:
  using Step = std::function<void(std::vector<std::string>& tokens)>;
  void add(const JsonField& decoder);

  std::vector<Step> steps_;
  bool is_byte_level_ = false;  // exactly the step ByteLevel
};

}  // namespace sluice::text
