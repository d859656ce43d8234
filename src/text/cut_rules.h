// Decides where a text can be split without changing its token ids.
//
// A BPE model merges adjacent pieces, after extracting user-defined pieces from left to right. If
// no piece contains the adjacent characters x and y, no merge ever crosses a split between x and y,
// and the ids of the parts are those of the whole text. This requires that text is not normalized
// and that unknown pieces are not merged (byte fallback). Other models give no guarantee:
// normalization looks ahead, and unigram models sum scores over the whole text in single precision.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

#include "text/sentencepiece_model.h"

namespace sluice::text {

class CutRules {
 public:
  CutRules() = default;
  explicit CutRules(const SentencePieceModel& model);
  // True if the ids of `before` followed by those of `after` (encoded without a dummy prefix) equal
  // the ids of the joined text.
  bool is_exact(std::string_view before, std::string_view after) const;

 private:
  bool is_local_ = false;  // whether merges depend only on the characters at the split
  // Characters (blanks as U+2581) that follow a newline or precede a blank in some piece.
  std::unordered_set<std::string> after_newline_, before_blank_;
};

}  // namespace sluice::text
