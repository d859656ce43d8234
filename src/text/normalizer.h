// The normalizer of a pipeline of the `tokenizers` library: Sequence, Replace, Prepend, Strip, NFC,
// NFD, NFKC, NFKD and Precompiled. Unicode normalization is that of utf8proc.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_field.h"

namespace sluice::text {

// The place of a part of the text. A continuation of a document gets no prefix such as U+2581.
enum class Place { kStart, kInside, kContinuation };

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(const JsonField& normalizer);  // kBadData if it is invalid or unsupported
  std::string apply(std::string text, Place place) const;
  bool is_identity() const { return steps_.empty(); }

 private:
  using Step = std::function<std::string(std::string text, Place place)>;
  void add(const JsonField& normalizer);

  std::vector<Step> steps_;
};

}  // namespace sluice::text
