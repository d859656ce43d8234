#include "text/sentencepiece_pipeline.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "text/base64.h"
#include "text/regex.h"
#include "text/sentencepiece_model.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

using OrderedJson = nlohmann::ordered_json;

[[noreturn]] void refuse(std::string_view field, std::string_view received,
                         std::string_view expected) {
  fail(ExitCode::kUsage, cat("tokenizer.model: ", field), received, expected);
}

std::string quoted(std::string_view piece) { return cat('`', printable(piece), '`'); }

// ---- what the library cannot express ----

void check_rules(const SentencePieceModel& model) {
  if (model.whitespace_as_suffix)
    refuse("trainer_spec.treat_whitespace_as_suffix", "true", "false");
  if (!model.normalizer.escape_whitespaces)
    refuse("normalizer_spec.escape_whitespaces", "false", "true");
  if (!model.denormalizer.charsmap.empty())
    refuse("denormalizer_spec.precompiled_charsmap", "a table", "no table");
}

// User-defined pieces become added tokens, which divide the text before it is normalized.
void check_user_defined(const SentencePieceModel& model, const Piece& piece) {
  const std::string field = cat("pieces: user-defined piece ", quoted(piece.text));
  if (model.type != SentencePieceModel::Type::kBpe) refuse(field, "a unigram model", "a BPE model");
  if (model.normalizer.add_dummy_prefix)
    refuse(field, "normalizer_spec.add_dummy_prefix true", "false");
  if (model.normalizer.remove_extra_whitespaces)
    refuse(field, "normalizer_spec.remove_extra_whitespaces true", "false");
  if (!model.normalizer.charsmap.empty())
    refuse(field, "a table in normalizer_spec.precompiled_charsmap", "no table");
}

void check_pieces(const SentencePieceModel& model) {
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kUnused)
      refuse("pieces", cat("unused piece ", quoted(piece.text)), "no unused pieces");
    if (piece.type == PieceType::kUserDefined) check_user_defined(model, piece);
    const bool is_text = piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined;
    if (!is_text && character_length(piece.text) == piece.text.size())
      refuse("pieces", cat("special piece ", quoted(piece.text), " of one character"),
             "a longer name");
  }
}

// ---- merges of BPE models ----

struct Merge {
  std::string_view left, right;
  float score = 0;  // of the merged piece
};

class MergeList {
 public:
  explicit MergeList(const SentencePieceModel& model) {
    for (const Piece& piece : model.pieces)
      (piece.type == PieceType::kNormal ? scores_ : others_).emplace(piece.text, piece.score);
    for (const Piece& piece : model.pieces)
      if (piece.type == PieceType::kNormal) add_splits(piece);
    std::stable_sort(merges_.begin(), merges_.end(), [](const Merge& a, const Merge& b) {
      return a.score != b.score ? a.score > b.score : a.left.size() > b.left.size();
    });
    check_ties();
  }
  OrderedJson json() const {
    OrderedJson list = OrderedJson::array();
    for (const Merge& merge : merges_)
      list.push_back(OrderedJson::array({merge.left, merge.right}));
    return list;
  }

 private:
  void add_splits(const Piece& piece) {
    std::size_t at = 0;
    while ((at += character_length(piece.text.substr(at))) < piece.text.size()) {
      const std::string_view left = piece.text.substr(0, at), right = piece.text.substr(at);
      if (scores_.contains(left) && scores_.contains(right))
        merges_.push_back({left, right, piece.score});
      else
        require_reachable(piece, left, right);
    }
  }

  // SentencePiece also merges characters that have no piece.
  void require_reachable(const Piece& piece, std::string_view left, std::string_view right) const {
    for (const auto& [one, other] : {std::pair{left, right}, std::pair{right, left}}) {
      const bool is_character = character_length(one) == one.size();
      const bool other_is_symbol =
          scores_.contains(other) || character_length(other) == other.size();
      if (is_character && !scores_.contains(one) && !others_.contains(one) && other_is_symbol)
        refuse("pieces", cat(quoted(piece.text), " without a piece ", quoted(one)),
               "a piece for every character of a piece");
    }
  }

  // With equal scores, SentencePiece takes the leftmost pair whatever its piece.
  void check_ties() const {
    for (std::size_t i = 1; i < merges_.size(); ++i) {
      const Merge &a = merges_[i - 1], &b = merges_[i];
      const std::string first = cat(a.left, a.right), second = cat(b.left, b.right);
      if (a.score == b.score && first != second)
        refuse("pieces",
               cat(quoted(first), " and ", quoted(second), " with score ", shortest(a.score)),
               "different scores");
    }
  }

  std::unordered_map<std::string_view, float> scores_, others_;  // others: never merged
  std::vector<Merge> merges_;
};

OrderedJson bpe_model(const SentencePieceModel& model) {
  OrderedJson vocab = OrderedJson::object();
  auto& entries = vocab.get_ref<OrderedJson::object_t&>();  // operator[] searches linearly
  OrderedJson unknown;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    entries.push_back({std::string(model.pieces[id].text), id});
    if (model.pieces[id].type == PieceType::kUnknown) unknown = model.pieces[id].text;
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", model.byte_fallback},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", MergeList(model).json()}};
}

// ---- Unigram ----

OrderedJson unigram_model(const SentencePieceModel& model) {
  float lowest = 0;  // the library derives the score of unknown text from the lowest one
  for (const Piece& piece : model.pieces)
    if (piece.type == PieceType::kNormal) lowest = std::min(lowest, piece.score);
  OrderedJson vocab = OrderedJson::array();
  std::size_t unknown = 0;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    if (piece.type == PieceType::kUnknown) unknown = id;
    const float score = piece.type == PieceType::kNormal ? piece.score : lowest;
    vocab.push_back(OrderedJson::array({piece.text, static_cast<double>(score)}));
  }
  return {{"type", "Unigram"},
          {"unk_id", unknown},
          {"vocab", std::move(vocab)},
          {"byte_fallback", model.byte_fallback}};
}

// A position in the name of a special piece that no normal piece crosses; 0 if there is none.
std::size_t cut_position(std::string_view name, const SentencePieceModel& model) {
  std::size_t at = 0, start = 0;
  while ((at += character_length(name.substr(at))) < name.size()) {
    const std::string_view pair =
        name.substr(start, at - start + character_length(name.substr(at)));
    const bool crossed =
        std::any_of(model.pieces.begin(), model.pieces.end(), [pair](const Piece& piece) {
          return piece.type == PieceType::kNormal && piece.text.find(pair) != piece.text.npos;
        });
    if (!crossed) return at;
    start = at;
  }
  return 0;
}

// Matches the part of every special name before its cut.
std::string special_names_pattern(const SentencePieceModel& model) {
  std::string pattern;
  const auto add = [&](std::string_view before, std::string_view after) {
    pattern += cat(pattern.empty() ? "" : "|", before, "(?=", after, ')');
  };
  if (model.byte_fallback) {
    const std::size_t at = cut_position("<0x", model);
    if (at == 0) refuse("pieces", "normal pieces that contain `<0` and `0x`", "only one of them");
    add(at == 1 ? "<" : "<0", at == 1 ? "0x[0-9A-F]{2}>" : "x[0-9A-F]{2}>");
  }
  for (const Piece& piece : model.pieces) {
    if (piece.type != PieceType::kControl && piece.type != PieceType::kUnknown) continue;
    const std::size_t at = cut_position(piece.text, model);
    if (at == 0)
      refuse("pieces", cat("normal pieces that cover all of ", quoted(piece.text)),
             "a position in it that no normal piece crosses");
    add(Regex::escaped(piece.text.substr(0, at)), Regex::escaped(piece.text.substr(at)));
  }
  return pattern;
}

// ---- normalizer and decoder ----

OrderedJson replace(const OrderedJson& pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}
OrderedJson text_pattern(std::string_view text) { return {{"String", text}}; }
OrderedJson regex(std::string_view pattern) { return {{"Regex", pattern}}; }

OrderedJson sequence(std::string_view key, std::vector<OrderedJson> steps) {
  return steps.size() == 1 ? steps.front()
                           : OrderedJson{{"type", "Sequence"}, {key, std::move(steps)}};
}

OrderedJson normalizer(const NormalizerRules& rules) {
  std::vector<OrderedJson> steps;
  if (!rules.charsmap.empty())
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", base64(rules.charsmap)}});
  if (rules.remove_extra_whitespaces) {
    steps.push_back(replace(regex("\\A +"), ""));
    // U+2581 is trimmed only at the end.
    steps.push_back(replace(regex(cat("[ ", kWordBoundary, "]+\\z")), ""));
    steps.push_back(replace(regex(" {2,}"), " "));
  }
  if (rules.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kWordBoundary}});
  steps.push_back(replace(text_pattern(" "), kWordBoundary));
  return sequence("normalizers", std::move(steps));
}

OrderedJson decoder(const SentencePieceModel& model) {
  const NormalizerRules& rules = model.normalizer;
  std::vector<OrderedJson> steps{replace(text_pattern(kWordBoundary), " ")};
  if (model.byte_fallback) steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (rules.add_dummy_prefix || rules.remove_extra_whitespaces)
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return sequence("decoders", std::move(steps));
}

}  // namespace

OrderedJson added_token(std::int64_t id, std::string_view content, TokenRole role) {
  return {{"id", id},
          {"content", content},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", role == TokenRole::kUserDefined},
          {"special", role == TokenRole::kSpecial}};
}

OrderedJson empty_pipeline() {
  return {{"version", "1.0"},          {"truncation", nullptr},
          {"padding", nullptr},        {"added_tokens", OrderedJson::array()},
          {"normalizer", nullptr},     {"pre_tokenizer", nullptr},
          {"post_processor", nullptr}, {"decoder", nullptr},
          {"model", nullptr}};
}

OrderedJson sentencepiece_pipeline(std::string_view serialized) {
  const SentencePieceModel model = check_model(serialized, "the tokenizer");
  check_rules(model);
  check_pieces(model);
  OrderedJson pipeline = empty_pipeline();
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    const auto number = static_cast<std::int64_t>(id);
    if (piece.type == PieceType::kControl || piece.type == PieceType::kUnknown)
      pipeline["added_tokens"].push_back(added_token(number, piece.text, TokenRole::kSpecial));
    // Blanks of the text are U+2581 when SentencePiece looks for pieces.
    if (piece.type == PieceType::kUserDefined && piece.text.find(' ') == piece.text.npos)
      pipeline["added_tokens"].push_back(added_token(number, piece.text, TokenRole::kUserDefined));
  }
  pipeline["normalizer"] = normalizer(model.normalizer);
  pipeline["decoder"] = decoder(model);
  if (model.type == SentencePieceModel::Type::kBpe) {
    pipeline["model"] = bpe_model(model);
    return pipeline;
  }
  pipeline["pre_tokenizer"] = {{"type", "Split"},
                               {"pattern", regex(special_names_pattern(model))},
                               {"behavior", "MergedWithPrevious"},
                               {"invert", false}};
  pipeline["model"] = unigram_model(model);
  return pipeline;
}

}  // namespace sluice::text
