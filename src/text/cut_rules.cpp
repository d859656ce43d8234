#include "text/cut_rules.h"

#include "text/utf8.h"

namespace sluice::text {

namespace {

std::string_view first_character(std::string_view text) {
  return text.substr(0, character_length(text));
}

std::string_view last_character(std::string_view text) {
  return text.substr(character_boundary(text, text.size() - 1));
}

std::string_view as_in_pieces(std::string_view character) {
  return character == " " ? kWordBoundary : character;
}

}  // namespace

CutRules::CutRules(const SentencePieceModel& model) {
  const NormalizerRules& rules = model.normalizer;
  is_local_ = model.type == SentencePieceModel::Type::kBpe && model.byte_fallback &&
              rules.charsmap.empty() && !rules.remove_extra_whitespaces &&
              !model.whitespace_as_suffix;
  if (!is_local_) return;
  for (const Piece& piece : model.pieces) {
    std::string_view before;
    for (std::string_view rest = piece.text; !rest.empty(); rest.remove_prefix(before.size())) {
      const std::string_view here = first_character(rest);
      if (before == "\n") after_newline_.emplace(as_in_pieces(here));
      if (!before.empty() && as_in_pieces(here) == kWordBoundary)
        before_blank_.emplace(as_in_pieces(before));
      before = here;
    }
  }
}

bool CutRules::is_exact(std::string_view before, std::string_view after) const {
  if (before.empty() || after.empty()) return true;
  if (!is_local_) return false;
  const std::string last(as_in_pieces(last_character(before))),
      first(as_in_pieces(first_character(after)));
  if (last == "\n") return !after_newline_.contains(first);
  return first == kWordBoundary && !before_blank_.contains(last);
}

}  // namespace sluice::text
