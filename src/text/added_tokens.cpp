#include "text/added_tokens.h"

#include <unordered_set>

#include "base/error.h"
#include "text/subword_model.h"

namespace sluice::text {

namespace {

AddedToken read_token(const JsonField& field) {
  AddedToken token{.content = field.at("content").string(),
                   .id = static_cast<std::int32_t>(field.at("id").whole_number(0, kMaxTokenId)),
                   .is_special = field.flag_or("special", false),
                   .is_normalized = field.flag_or("normalized", false)};
  if (token.content.empty()) field.at("content").fail_here("a text that is not empty");
  for (const char* key : {"lstrip", "rstrip", "single_word"})
    if (!token.is_special && field.flag_or(key, false))
      field.at(key).fail_here("false for a token that is not special");
  return token;
}

}  // namespace

AddedTokens::AddedTokens(const JsonField& list, const Normalizer& normalizer) {
  list.expect_list();
  std::unordered_set<std::string> contents;
  std::unordered_set<std::int32_t> ids;
  std::vector<std::string> normalized;
  for (std::size_t i = 0; i < list.size(); ++i) {
    tokens_.push_back(read_token(list.item(i)));
    const AddedToken& token = tokens_.back();
    if (!contents.insert(token.content).second || !ids.insert(token.id).second)
      list.item(i).fail_here("a token with a content and an id of its own");
    Place place;
    normalized.push_back(token.is_normalized ? normalizer.apply(token.content, place)
                                             : std::string());
  }
  std::vector<std::pair<std::string_view, std::int32_t>> raw_pieces, normalized_pieces;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    if (tokens_[i].is_normalized)
      normalized_pieces.emplace_back(normalized[i], index);
    else
      raw_pieces.emplace_back(tokens_[i].content, index);
  }
  raw_ = PieceTrie(std::move(raw_pieces));
  normalized_ = PieceTrie(std::move(normalized_pieces));
}

void AddedTokens::split_by(const PieceTrie& trie, std::string_view text, Place place,
                           const Visit& visit) const {
  std::size_t done = 0;
  const auto flush = [&](std::size_t end) {
    if (end > done) visit.text(text.substr(done, end - done), place.after(done));
  };
  for (std::size_t at = 0; !trie.empty() && at < text.size();) {
    std::size_t length = 0;
    std::int32_t index = 0;
    trie.each_prefix(text.substr(at), [&](std::size_t size, std::int32_t value) {
      length = size;
      index = value;
    });
    if (length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    if (!token.is_special) {
      flush(at);
      visit.token(token.id);
      done = at + length;
    }
    at += length;
  }
  flush(text.size());
}

}  // namespace sluice::text
