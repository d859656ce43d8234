#include "text/word_cache.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "text/utf8.h"

namespace sluice::text {

namespace {

// A full table, about 10 MB, is cleared.
constexpr std::size_t kMaxWords = 100'000;
constexpr std::size_t kMaxWordBytes = 48;

struct ViewHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

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

struct WordCache::Table {
  struct Ids {
    std::uint32_t begin = 0, count = 0;
  };
  std::unordered_map<std::string, Ids, ViewHash, std::equal_to<>> words;
  std::vector<std::int32_t> ids;

  void add(std::string_view word, std::span<const std::int32_t> of_word) {
    if (words.size() >= kMaxWords) {
      words.clear();
      ids.clear();
    }
    words.emplace(word, Ids{static_cast<std::uint32_t>(ids.size()),
                            static_cast<std::uint32_t>(of_word.size())});
    ids.insert(ids.end(), of_word.begin(), of_word.end());
  }
};

WordCache::WordCache() = default;
WordCache::~WordCache() = default;

std::unique_ptr<WordCache::Table> WordCache::borrow() {
  const std::lock_guard lock(mutex_);
  if (tables_.empty()) return std::make_unique<Table>();
  auto table = std::move(tables_.back());
  tables_.pop_back();
  return table;
}

void WordCache::return_table(std::unique_ptr<Table> table) {
  const std::lock_guard lock(mutex_);
  tables_.push_back(std::move(table));
}

void WordCache::encode(const WordRules& rules, std::string_view text, const Encode& encode,
                       std::vector<std::int32_t>& out) {
  auto table = borrow();
  while (!text.empty()) {
    const std::string_view word = first_word(rules, text);
    text.remove_prefix(word.size());
    const auto known = table->words.find(word);
    if (known != table->words.end()) {
      const auto begin = table->ids.begin() + known->second.begin;
      out.insert(out.end(), begin, begin + known->second.count);
      continue;
    }
    const std::size_t before = out.size();
    encode(word, out);
    if (word.size() <= kMaxWordBytes) table->add(word, std::span(out).subspan(before));
  }
  return_table(std::move(table));
}

}  // namespace sluice::text
