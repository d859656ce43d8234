// The normalizer of a pipeline of the `tokenizers` library: Sequence, Replace, Prepend, Strip, NFC,
// NFD, NFKC, NFKD and Precompiled. Unicode normalization is that of utf8proc.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_field.h"

namespace sluice::text {

// The place of a part of the text. A continuation of a document gets no prefix such as U+2581.
//
// The library counts a part as the first one (`prepend_scheme: first`) if its first character comes
// from the first character of the document; normalizers can make several parts or none of that
// character. num_first_bytes: the bytes at the beginning of the part that come from it.
struct Place {
  bool is_continuation = false;
  std::size_t num_first_bytes = 0;

  static Place start(std::string_view text);  // of a document
  static Place continuation() { return {.is_continuation = true}; }
  bool is_first() const { return num_first_bytes > 0; }
  // Of what follows the first `bytes` bytes.
  Place after(std::size_t bytes) const {
    if (bytes == 0) return *this;
    return {false, num_first_bytes > bytes ? num_first_bytes - bytes : 0};
  }
};

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(const JsonField& normalizer);  // kBadData if it is invalid or unsupported
  // `place`: of the text; becomes that of the result.
  std::string apply(std::string text, Place& place) const;
  bool is_identity() const { return steps_.empty(); }

 private:
  using Step = std::function<std::string(std::string text, Place& place)>;
  void add(const JsonField& normalizer);

  std::vector<Step> steps_;
};

}  // namespace sluice::text
