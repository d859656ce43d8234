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
#include <string>
#include <string_view>
#include <unordered_map>
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

// The ids of short words. A full table, about 10 MB, is cleared.
class WordTable {
 public:
  // Appends the ids of `word`, or returns false if the table does not contain them.
  bool find(std::string_view word, std::vector<std::int32_t>& out) const;
  void add(std::string_view word, std::span<const std::int32_t> ids);  // long words are ignored

 private:
  struct Ids {
    std::uint32_t begin = 0, count = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, Ids, Hash, std::equal_to<>> words_;
  std::vector<std::int32_t> ids_;
};

// Lends each thread a table of its own. Thread-safe.
class WordTables {
 public:
  std::unique_ptr<WordTable> borrow();
  void give_back(std::unique_ptr<WordTable> table);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<WordTable>> tables_;
};

// Thread-safe: each call borrows a separate table.
class WordCache {
 public:
  using Encode = std::function<void(std::string_view part, std::vector<std::int32_t>& ids)>;
  // Appends the ids of `text`; calls `encode` for words not in the cache.
  void encode(const WordRules& rules, std::string_view text, const Encode& encode,
              std::vector<std::int32_t>& out);

 private:
  WordTables tables_;
};

}  // namespace sluice::text
