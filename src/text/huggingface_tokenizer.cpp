#include "text/huggingface_tokenizer.h"

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "base/text_format.h"
#include "text/added_tokens.h"
#include "text/byte_level.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/subword_model.h"
#include "text/token_decoder.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace sluice::text {

namespace {

// Parts of the text above this size are encoded one at a time, to limit memory use.
constexpr std::size_t kLongPart = 1 << 20;

// Texts that a lossless tokenizer must reproduce.
constexpr std::string_view kProbes[] = {
    " two  blanks ",    "\n\nlines\n\n x", "tab\tand\rreturn",  "e\xCC\x81 \xC3\xA9 \xEF\xAC\x81",
    "\xF0\x9F\x98\x80", "<s></s><unk>",    "I'm 12345 they'll", "\x01\x7F\xE2\x80\x8B"};

std::unique_ptr<SubwordModel> make_model(const JsonField& model) {
  // Older files do not name the type.
  const bool is_list = model.at("vocab").json().is_array();
  const std::string type = model.string_or("type", is_list ? "Unigram" : "BPE");
  if (type == "BPE") return make_bpe_model(model);
  if (type == "Unigram") return make_unigram_model(model);
  model.at("type").fail_here("BPE or Unigram");
}

class HuggingFaceTokenizer : public Tokenizer {
 public:
  HuggingFaceTokenizer(const JsonField& root, std::string serialized)
      : serialized_(std::move(serialized)) {
    if (const auto field = root.find("normalizer")) normalizer_ = Normalizer(*field);
    if (const auto field = root.find("added_tokens")) added_ = AddedTokens(*field, normalizer_);
    if (const auto field = root.find("pre_tokenizer")) pre_tokenizer_ = PreTokenizer(*field);
    if (const auto field = root.find("decoder")) decoder_ = TokenDecoder(*field);
    model_ = make_model(root.at("model"));
    name_tokens(root);
    const JsonField roles = root.at(kRolesKey);
    eos_ = id_of_role(roles, "eos");
    pad_ = id_of_role(roles, "pad");
    bos_ = id_of_role(roles, "bos");
    lossless_ = is_lossless();
  }

  void encode(std::string_view text, std::vector<std::int32_t>& out) const override {
    encode_at(text, Place::start(text), out);
  }
  void encode_continuation(std::string_view text, std::vector<std::int32_t>& out) const override {
    encode_at(text, Place::continuation(), out);
  }
  bool joins_blocks() const override { return true; }
  bool cut_may_change_ids(std::string_view before, std::string_view after) const override {
    return !before.empty() && !after.empty();
  }

  std::string decode(std::span<const std::int32_t> ids) const override {
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) {
      invariant(id >= 0 && id < vocab_size(), cat("token id ", id, " outside the vocabulary"));
      const Token& token = tokens_[static_cast<std::size_t>(id)];
      if (!token.is_special && !token.text.empty()) tokens.push_back(token.text);
    }
    return tokens.empty() ? std::string() : decoder_.decode(std::move(tokens));
  }

  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(tokens_.size()); }
  std::optional<std::int32_t> eos() const override { return eos_; }
  std::optional<std::int32_t> bos() const override { return bos_; }
  std::optional<std::int32_t> pad() const override { return pad_; }
  std::optional<std::int32_t> unk() const override {
    return encodes_bytes() ? std::nullopt : model_->unk();
  }
  bool lossless() const override { return lossless_; }
  std::string_view file_name() const override { return "tokenizer.json"; }
  const std::string& serialized() const override { return serialized_; }

 private:
  struct Token {
    std::string text;
    bool is_special = false;
  };

  void name_tokens(const JsonField& root) {
    for (const std::string& piece : model_->pieces()) tokens_.push_back({piece});
    for (const AddedToken& token : added_.tokens()) {
      const auto id = static_cast<std::size_t>(token.id);
      if (id >= tokens_.size()) tokens_.resize(id + 1);
      if (!tokens_[id].text.empty() && tokens_[id].text != token.content)
        fail(ExitCode::kBadData, root.subject() + ": added_tokens",
             cat('`', printable(token.content), "` with id ", token.id, " of `",
                 printable(tokens_[id].text), '`'),
             "ids of their own, or those of the same text in model.vocab");
      tokens_[id] = {token.content, token.is_special};
    }
  }

  std::optional<std::int32_t> id_of_role(const JsonField& roles, std::string_view role) {
    const auto field = roles.find(role);
    if (!field.has_value()) return std::nullopt;
    const auto found = std::find_if(tokens_.begin(), tokens_.end(), [&](const Token& token) {
      return token.text == field->string();
    });
    if (found == tokens_.end()) field->fail_here("a token of the vocabulary");
    found->is_special = true;
    return static_cast<std::int32_t>(found - tokens_.begin());
  }

  bool encodes_bytes() const {
    if (!pre_tokenizer_.keeps_all_bytes()) return false;
    for (int byte = 0; byte < 256; ++byte) {
      std::vector<std::int32_t> ids;
      const std::string& character = byte_level_character(static_cast<unsigned char>(byte));
      model_->encode(character, ids);
      if (ids.size() != 1 || tokens_[static_cast<std::size_t>(ids[0])].text != character)
        return false;
    }
    return true;
  }

  bool is_lossless() const {
    if (!encodes_bytes() || !normalizer_.is_identity() || !decoder_.is_byte_level()) return false;
    const auto reproduces = [this](std::string_view text) {
      std::vector<std::int32_t> ids;
      encode(text, ids);
      return decode(ids) == text;
    };
    return std::all_of(std::begin(kProbes), std::end(kProbes), reproduces) &&
           std::all_of(added_.tokens().begin(), added_.tokens().end(),
                       [&](const AddedToken& token) { return reproduces(token.content); });
  }

  void encode_at(std::string_view text, Place place, std::vector<std::int32_t>& out) const {
    if (!is_valid_utf8(text)) return encode_at(with_valid_utf8(text), place, out);
    auto table = tables_.borrow();
    const auto add_token = [&](std::int32_t id) { out.push_back(id); };
    const auto add_part = [&](std::string_view part, const Place&) {
      encode_part(part, *table, out);
    };
    const auto add_normalized = [&](std::string_view part, Place where) {
      pre_tokenizer_.split(part, where, add_part);
    };
    const auto add_raw = [&](std::string_view part, Place where) {
      if (normalizer_.is_identity())
        return added_.split_normalized(part, where, {add_normalized, add_token});
      const std::string normalized = normalizer_.apply(std::string(part), where);
      added_.split_normalized(normalized, where, {add_normalized, add_token});
    };
    added_.split(text, place, {add_raw, add_token});
    tables_.give_back(std::move(table));
  }

  void encode_part(std::string_view part, WordTable& table, std::vector<std::int32_t>& out) const {
    while (!part.empty()) {
      const std::string_view word = part.substr(0, model_->independent_prefix(part));
      part.remove_prefix(word.size());
      if (table.find(word, out)) continue;
      std::unique_lock<std::mutex> lock(long_parts_, std::defer_lock);
      if (word.size() > kLongPart) lock.lock();
      const std::size_t before = out.size();
      model_->encode(word, out);
      table.add(word, std::span(out).subspan(before));
    }
  }

  std::string serialized_;
  Normalizer normalizer_;
  AddedTokens added_;
  PreTokenizer pre_tokenizer_;
  TokenDecoder decoder_;
  std::unique_ptr<SubwordModel> model_;
  std::vector<Token> tokens_;  // by id; ids without a token have an empty text
  std::optional<std::int32_t> bos_, eos_, pad_;
  bool lossless_ = false;
  mutable WordTables tables_;
  mutable std::mutex long_parts_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_huggingface_tokenizer(const nlohmann::json& json,
                                                      std::string serialized,
                                                      std::string_view name) {
  return std::make_unique<HuggingFaceTokenizer>(JsonField(json, std::string(name)),
                                                std::move(serialized));
}

}  // namespace sluice::text
