#include <array>
#include <unordered_map>

#include "base/error.h"
#include "base/text_format.h"
#include "text/bpe_merger.h"
#include "text/sentencepiece_model.h"
#include "text/subword_model.h"
#include "text/utf8.h"

namespace sluice::text {

namespace {

class BpeModel : public SubwordModel {
 public:
  explicit BpeModel(const JsonField& model)
      : ids_(read_vocab(model.at("vocab"), pieces_)),
        ranks_(model.at("merges").expect_list().size()) {
    check_settings(model);
    ignore_merges_ = model.flag_or("ignore_merges", false);
    read_merges(model.at("merges"));
    fuse_unk_ = model.flag_or("fuse_unk", false);
    if (model.flag_or("byte_fallback", false)) byte_ids_ = byte_pieces(pieces_);
    if (const auto unk = model.find("unk_token"); unk.has_value()) {
      const auto found = ids_.find(unk->string());
      if (found == ids_.end()) unk->fail_here("a token of model.vocab");
      unk_ = found->second;
    }
    for (std::uint32_t code = 0; code < short_ids_.size(); ++code) {
      std::string character;
      append_utf8(code, character);
      short_ids_[code] = id_of(character);
    }
  }

  void encode(std::string_view part, std::vector<std::int32_t>& out) const override {
    if (ignore_merges_) {
      const std::int32_t whole = id_of(part);
      if (whole >= 0) return out.push_back(whole);
    }
    std::vector<std::int32_t> symbols = characters(part);
    merge_pairs(ranks_, symbols);
    out.insert(out.end(), symbols.begin(), symbols.end());
  }
  const std::vector<std::string>& pieces() const override { return pieces_; }
  std::optional<std::int32_t> unk() const override {
    return byte_ids_.empty() ? unk_ : std::nullopt;
  }
  std::size_t independent_prefix(std::string_view text) const override {
    if (!blanks_start_pieces_) return text.size();
    std::size_t at = character_length(text);
    while ((at = text.find(kWordBoundary, at)) != std::string_view::npos) {
      if (!text.substr(0, at).ends_with(kWordBoundary)) return at;
      at += kWordBoundary.size();
    }
    return text.size();
  }

 private:
  using Ids = std::unordered_map<std::string_view, std::int32_t>;

  static Ids read_vocab(const JsonField& vocab, std::vector<std::string>& pieces) {
    vocab.expect_object();
    std::int64_t largest = -1;
    std::size_t index = 0;
    for (const auto& [text, id] : vocab.json().items()) {
      const JsonField field(id, vocab.subject(), cat("entry ", index++));
      largest = std::max(largest, field.whole_number(0, kMaxTokenId));
    }
    if (largest < 0) vocab.fail_here("at least one token");
    pieces.resize(static_cast<std::size_t>(largest) + 1);
    Ids ids;
    for (const auto& [text, id] : vocab.json().items()) {
      std::string& piece = pieces[id.get<std::size_t>()];
      require(piece.empty() && !text.empty(), ExitCode::kBadData, vocab.subject(),
              cat("token `", printable(text), "` with id ", id.get<std::int64_t>()),
              "distinct ids and no empty token");
      piece = text;
      ids.emplace(piece, id.get<std::int32_t>());
    }
    return ids;
  }

  static void check_settings(const JsonField& model) {
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const auto field = model.find(key);
      if (field.has_value() && !field->string().empty()) field->fail_here("an empty text or null");
    }
    const auto dropout = model.find("dropout");
    if (dropout.has_value() && dropout->number() != 0) dropout->fail_here("0 or null");
  }

  // A merge is ["a", "b"] or, in older files, "a b".
  void read_merges(const JsonField& merges) {
    blanks_start_pieces_ = !ignore_merges_ && id_of(kWordBoundary) >= 0;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const JsonField merge = merges.item(rank);
      std::string left, right;
      if (merge.json().is_array() && merge.size() == 2) {
        left = merge.item(0).string();
        right = merge.item(1).string();
      } else {
        const std::string& pair = merge.string();
        const std::size_t blank = pair.find(' ');
        if (blank == std::string::npos || pair.find(' ', blank + 1) != std::string::npos)
          merge.fail_here("two tokens");
        left = pair.substr(0, blank);
        right = pair.substr(blank + 1);
      }
      const std::int32_t first = id_of(left), second = id_of(right), merged = id_of(left + right);
      if (first < 0 || second < 0 || merged < 0)
        merge.fail_here("tokens of model.vocab that form a token of model.vocab");
      ranks_.set(first, second, {static_cast<std::uint32_t>(rank), merged});
      if (right.starts_with(kWordBoundary) && !left.ends_with(kWordBoundary))
        blanks_start_pieces_ = false;
    }
  }

  std::int32_t id_of(std::string_view piece) const {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
  }

  std::int32_t id_of_character(std::string_view character) const {
    const auto first = static_cast<unsigned char>(character[0]);
    if (first < 0x80) return short_ids_[first];
    if (character.size() == 2)
      return short_ids_[(first & 0x1FU) << 6 | (static_cast<unsigned char>(character[1]) & 0x3FU)];
    return id_of(character);
  }

  std::vector<std::int32_t> characters(std::string_view part) const {
    std::vector<std::int32_t> symbols;
    symbols.reserve(part.size());
    bool after_unknown = false;
    while (!part.empty()) {
      const std::string_view character = part.substr(0, character_length(part));
      part.remove_prefix(character.size());
      const std::int32_t id = id_of_character(character);
      if (id >= 0) {
        symbols.push_back(id);
      } else if (!byte_ids_.empty()) {
        for (const char byte : character)
          symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      } else if (unk_.has_value() && !(fuse_unk_ && after_unknown)) {
        symbols.push_back(*unk_);
      }
      after_unknown = id < 0;
    }
    return symbols;
  }

  std::vector<std::string> pieces_;
  Ids ids_;  // views into pieces_
  PairRanks ranks_;
  std::vector<std::int32_t> byte_ids_;
  std::array<std::int32_t, 0x800> short_ids_{};  // of characters of one or two bytes; -1: none
  std::optional<std::int32_t> unk_;
  bool ignore_merges_ = false, fuse_unk_ = false;
  bool blanks_start_pieces_ = false;  // no merge puts a blank after another character
};

}  // namespace

std::vector<std::int32_t> byte_pieces(const std::vector<std::string>& pieces) {
  std::vector<std::int32_t> ids(256, -1);
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const int byte = byte_of_piece(pieces[id]);
    if (byte >= 0) ids[static_cast<std::size_t>(byte)] = static_cast<std::int32_t>(id);
  }
  for (const std::int32_t id : ids)
    if (id < 0) return {};
  return ids;
}

std::unique_ptr<SubwordModel> make_bpe_model(const JsonField& model) {
  return std::make_unique<BpeModel>(model);
}

}  // namespace sluice::text
