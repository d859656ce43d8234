// The added tokens of tokenizer.json: texts with an id of their own, found before (`normalized`
// false) or after normalization.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_field.h"
#include "text/normalizer.h"
#include "text/piece_trie.h"

namespace sluice::text {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool is_special = false;  // never found in text, left out of decoded text
  bool is_normalized = false;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // `list`: the member `added_tokens`. kBadData for invalid tokens and for lstrip, rstrip and
  // single_word of tokens that are not special.
  AddedTokens(const JsonField& list, const Normalizer& normalizer);
  const std::vector<AddedToken>& tokens() const { return tokens_; }

  // Calls `text` for the parts without added tokens (not empty) and `token` for the tokens between
  // them, leftmost and longest first.
  struct Visit {
    std::function<void(std::string_view part, Place place)> text;
    std::function<void(std::int32_t id)> token;
  };
  void split(std::string_view text, Place place, const Visit& visit) const {
    split_by(raw_, text, place, visit);
  }
  void split_normalized(std::string_view text, Place place, const Visit& visit) const {
    split_by(normalized_, text, place, visit);
  }

 private:
  void split_by(const PieceTrie& trie, std::string_view text, Place place,
                const Visit& visit) const;

  std::vector<AddedToken> tokens_;
  PieceTrie raw_, normalized_;  // values: indices of tokens_
};

}  // namespace sluice::text
