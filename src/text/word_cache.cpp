#include "text/word_cache.h"

#include <algorithm>

#include "text/utf8.h"

namespace sluice::text {

namespace {

constexpr std::size_t kMaxWords = 100'000;
constexpr std::size_t kMaxWordBytes = 48;

bool has_blank_after_text(std::string_view piece) {
  while (piece.starts_with(kWordBoundary)) piece.remove_prefix(kWordBoundary.size());
  return piece.find(kWordBoundary) != std::string_view::npos;
}

// Whether a run of blanks starts at `at`. U+2581 in the text counts as a blank; testing its last
// byte is a conservative check.
bool run_starts(std::string_view text, std::size_t at) {
  return text[at] == ' ' && text[at - 1] != ' ' && text[at - 1] != '\x81';
}

}  // namespace

WordRules word_rules(const SentencePieceModel& model) {
  const NormalizerRules& rules = model.normalizer;
  const bool identity = rules.charsmap.empty() && !rules.add_dummy_prefix &&
                        !rules.remove_extra_whitespaces && rules.escape_whitespaces;
  // Merged unknown pieces (no byte fallback) and user-defined or unused pieces may cross words.
  if (model.type != SentencePieceModel::Type::kBpe || !identity || !model.byte_fallback ||
      model.whitespace_as_suffix)
    return {};
  WordRules words{.independent = true, .newline_is_separate = true};
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnused) return {};
    if (piece.type != PieceType::kNormal) continue;
    if (has_blank_after_text(piece.text)) return {};
    if (piece.text.size() > 1 && piece.text.find('\n') != std::string_view::npos)
      words.newline_is_separate = false;
  }
  return words;
}

std::string_view first_word(const WordRules& rules, std::string_view text) {
  if (rules.newline_is_separate && text[0] == '\n') return text.substr(0, 1);
  std::size_t end = 1;
  while (end < text.size() && !run_starts(text, end) &&
         !(rules.newline_is_separate && text[end] == '\n'))
    ++end;
  return text.substr(0, end);
}

bool WordTable::find(std::string_view word, std::vector<std::int32_t>& out) const {
  const auto known = words_.find(word);
  if (known == words_.end()) return false;
  const auto begin = ids_.begin() + known->second.begin;
  out.insert(out.end(), begin, begin + known->second.count);
  return true;
}

void WordTable::add(std::string_view word, std::span<const std::int32_t> ids) {
  if (word.size() > kMaxWordBytes) return;
  if (words_.size() >= kMaxWords) {
    words_.clear();
    ids_.clear();
  }
  words_.emplace(
      word, Ids{static_cast<std::uint32_t>(ids_.size()), static_cast<std::uint32_t>(ids.size())});
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

std::unique_ptr<WordTable> WordTables::borrow() {
  const std::lock_guard lock(mutex_);
  if (tables_.empty()) return std::make_unique<WordTable>();
  auto table = std::move(tables_.back());
  tables_.pop_back();
  return table;
}

void WordTables::give_back(std::unique_ptr<WordTable> table) {
  const std::lock_guard lock(mutex_);
  tables_.push_back(std::move(table));
}

void WordCache::encode(const WordRules& rules, std::string_view text, const Encode& encode,
                       std::vector<std::int32_t>& out) {
  auto table = tables_.borrow();
  while (!text.empty()) {
    const std::string_view word = first_word(rules, text);
    text.remove_prefix(word.size());
    if (table->find(word, out)) continue;
    const std::size_t before = out.size();
    encode(word, out);
    table->add(word, std::span(out).subspan(before));
  }
  tables_.give_back(std::move(table));
}

}  // namespace sluice::text
