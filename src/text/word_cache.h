// Caches the ids of words if the model encodes words independently of each other.
//
// In a BPE model, U+2581 (a blank) follows only another U+2581 in any piece, unless the model was
// trained to merge across blanks. No merge then crosses the start of a run of blanks, merges on one
// side never affect the other, and the ids of a text are the concatenated ids of its words. This
// property is verified from the pieces (word_rules), never assumed. Unigram models, which sum
// scores over the whole text in floating point, and models with normalization always encode whole
// texts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "text/sentencepiece_model.h"

namespace sluice::text {

struct WordRules {
  bool independent = false;          // words can be encoded one by one
  bool newline_is_separate = false;  // no piece contains a newline and another character
};
WordRules word_rules(const SentencePieceModel& model);

// The first word of `text` (not empty): up to the next run of blanks or, if newlines are separate,
// the next newline.
std::string_view first_word(const WordRules& rules, std::string_view text);

// Thread-safe: each call borrows a separate table.
class WordCache {
 public:
  using Encode = std::function<void(std::string_view part, std::vector<std::int32_t>& ids)>;
  WordCache();
  ~WordCache();
  // Appends the ids of `text`; calls `encode` for words not in the cache.
  void encode(const WordRules& rules, std::string_view text, const Encode& encode,
              std::vector<std::int32_t>& out);

 private:
  struct Table;
  std::unique_ptr<Table> borrow();
  void return_table(std::unique_ptr<Table> table);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace sluice::text
