// Where a text can be cut without a change to its ids.
//
// A BPE model merges neighbours into a longer piece, and user-defined pieces are taken out first, from the left. So no piece with the
// characters x and y side by side means that nothing is ever joined across a cut between x and y, and the ids of the
// parts are those of the whole. That needs text that is not normalised, and no merging of unknown pieces (byte fallback).
// Everything else is never certain: normalisation looks ahead, and unigram models sum scores over the whole text in single precision.
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
  // True: the ids of `before` and those of `after` (encoded without a dummy prefix) are the ids of both in one call.
  bool is_exact(std::string_view before, std::string_view after) const;

 private:
  bool neighbours_decide_ = false;
  // Characters (blanks as U+2581) that stand behind a newline or before a blank in some piece.
  std::unordered_set<std::string> behind_newline_, before_blank_;
};

}  // namespace sluice::text
