// Remembers the ids of words, where words are encoded independently of each other.
//
// In a BPE model no piece has U+2581 (a blank) behind anything but another one, unless it was trained to cross blanks. Then no merge reaches across
// the start of a run of blanks, and merges on one side never change those on the other: the ids of a text are those of its
// words, one after the other. What the model has is read from its pieces (word_rules), never assumed; unigram models, whose
// scores are summed over the whole text in floating point, and models with normalisation are always encoded whole.
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
  bool independent = false;           // words can be encoded one by one
  bool newline_stands_alone = false;  // no piece holds a newline and something else
};
WordRules word_rules(const SentencePieceModel& model);

// The first word of `text` (not empty): up to the next run of blanks or, where it stands alone, the next newline.
std::string_view first_word(const WordRules& rules, std::string_view text);

// Safe to use from several threads: each call borrows a table of its own.
class WordCache {
 public:
  using Encode = std::function<void(std::string_view part, std::vector<std::int32_t>& ids)>;
  WordCache();
  ~WordCache();
  // Appends the ids of `text`, asking `encode` for words not seen before.
  void encode(const WordRules& rules, std::string_view text, const Encode& encode, std::vector<std::int32_t>& out);

 private:
  struct Table;
  std::unique_ptr<Table> borrow();
  void give_back(std::unique_ptr<Table> table);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace sluice::text
