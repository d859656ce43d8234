#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/text_format.h"
#include "base/wire_format.h"
#include "text/cut_rules.h"
#include "text/sentencepiece_model.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace sluice::text {

namespace {

// Texts that a lossless tokenizer must reproduce. Each contains something that some models lose.
constexpr std::string_view kProbes[] = {
    " two  blanks ",
    "\n\nlines\n",
    "tab\tand\rreturn",
    "\xEF\xBC\xA1\xEF\xAC\x81\xC2\xA0",  // full-width A, ligature fi, no-break space
    "e\xCC\x81 \xC3\xA9",
    "\xF0\x9F\x98\x80",
    "<s></s><unk>",
    "<0x41>\x01\x7F\xE2\x80\x8B",
};

constexpr std::size_t kLongCall = 1 << 20;

// The model without its self-tests (field 4): the library runs them while loading, and they only
// hold for the unmodified model.
std::string without_self_tests(std::string_view serialized) {
  std::string rest;
  WireReader reader(serialized);
  while (const auto field = reader.next()) {
    if (field->type != WireField::Type::kBytes || field->id == 4 || field->id > 5) continue;
    rest += static_cast<char>(field->id << 3 | 2);
    std::size_t size = field->bytes.size();
    for (; size >= 0x80; size >>= 7) rest += static_cast<char>(0x80 | (size & 0x7F));
    rest += static_cast<char>(size);
    rest += field->bytes;
  }
  return rest;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string serialized, std::string_view name)
      : serialized_(std::move(serialized)) {
    const SentencePieceModel model = check_model(serialized_, name);
    silence_sentencepiece();
    const auto status = processor_.LoadFromSerializedProto(serialized_);
    if (!status.ok())
      fail(ExitCode::kBadData, name,
           cat("a model rejected by SentencePiece (", status.message(), ')'),
           "a valid SentencePiece model");
    for (std::size_t id = 0; id < model.pieces.size(); ++id)
      record_special_piece(model, static_cast<std::int32_t>(id));
    vocab_size_ = static_cast<std::int64_t>(model.pieces.size());
    words_ = word_rules(model);
    cuts_ = CutRules(model);
    joins_blocks_ = !model.trained_by_sluice;
    const NormalizerRules& rules = model.normalizer;
    // If runs of blanks collapse, keep the prefix: it replaces the blank that the end of the
    // previous part lost.
    if (rules.add_dummy_prefix && !rules.remove_extra_whitespaces && !model.whitespace_as_suffix)
      load_without_prefix();
    lossless_ = is_lossless(model);
  }

  void encode(std::string_view text, std::vector<std::int32_t>& out) const override {
    const auto encode_part = [this](std::string_view part, std::vector<std::int32_t>& ids) {
      encode_by_library(part, ids);
    };
    if (words_.independent) {
      cache_.encode(words_, text, encode_part, out);
    } else {
      encode_part(text, out);
    }
  }

  void encode_continuation(std::string_view text, std::vector<std::int32_t>& out) const override {
    if (without_prefix_ == nullptr) return encode(text, out);
    encode_with(*without_prefix_, text, out);
  }
  bool joins_blocks() const override { return joins_blocks_; }
  bool cut_may_change_ids(std::string_view before, std::string_view after) const override {
    return !cuts_.is_exact(before, after);
  }

  std::string decode(std::span<const std::int32_t> ids) const override {
    for (const std::int32_t id : ids)
      invariant(id >= 0 && id < vocab_size_, cat("token id ", id, " outside the vocabulary"));
    std::string text;
    const auto status = processor_.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
    invariant(status.ok(), "SentencePiece cannot decode ids of its own vocabulary");
    return text;
  }

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> eos() const override { return eos_; }
  std::optional<std::int32_t> bos() const override { return bos_; }
  std::optional<std::int32_t> pad() const override { return pad_; }
  std::optional<std::int32_t> unk() const override { return unk_; }
  bool lossless() const override { return lossless_; }
  std::string_view file_name() const override { return "tokenizer.model"; }
  const std::string& serialized() const override { return serialized_; }

 private:
  void record_special_piece(const SentencePieceModel& model, std::int32_t id) {
    const Piece& piece = model.pieces[static_cast<std::size_t>(id)];
    if (piece.type == PieceType::kControl && piece.text == model.eos_piece) eos_ = id;
    if (piece.type == PieceType::kControl && piece.text == model.pad_piece) pad_ = id;
    if (piece.type == PieceType::kControl && piece.text == model.start_piece) bos_ = id;
    // With byte fallback the unknown piece is never produced.
    if (piece.type == PieceType::kUnknown && !model.byte_fallback) unk_ = id;
  }

  void encode_by_library(std::string_view text, std::vector<std::int32_t>& out) const {
    encode_with(processor_, text, out);
  }

  void encode_with(const sentencepiece::SentencePieceProcessor& processor, std::string_view text,
                   std::vector<std::int32_t>& out) const {
    // The library uses about 55 bytes of memory per byte of text: allow one long call at a time.
    std::unique_lock<std::mutex> lock(long_calls_, std::defer_lock);
    if (text.size() > kLongCall) lock.lock();
    std::vector<int> ids;
    const auto status = processor.Encode(text, &ids);
    if (!status.ok()) {
      fail(ExitCode::kBadData, "tokenizer",
           cat("SentencePiece cannot encode `", printable(text), "` (", status.message(),
               "); expected a model without ordinary text in control pieces"));
    }
    out.insert(out.end(), ids.begin(), ids.end());
  }

  // Protobuf merges repeated messages: the appended normalizer_spec (field 3) only sets
  // add_dummy_prefix (field 3) to false.
  void load_without_prefix() {
    constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);
    without_prefix_ = std::make_unique<sentencepiece::SentencePieceProcessor>();
    const auto status = without_prefix_->LoadFromSerializedProto(without_self_tests(serialized_) +
                                                                 std::string(kNoDummyPrefix));
    invariant(status.ok(), "SentencePiece rejects the model without dummy prefix");
  }

  bool is_lossless(const SentencePieceModel& model) const {
    const NormalizerRules& rules = model.normalizer;
    const bool unused = std::any_of(model.pieces.begin(), model.pieces.end(),
                                    [](const Piece& p) { return p.type == PieceType::kUnused; });
    if (!model.byte_fallback || !rules.charsmap.empty() || rules.remove_extra_whitespaces ||
        !rules.escape_whitespaces)
      return false;
    if (!model.denormalizer.charsmap.empty() || model.whitespace_as_suffix || unused) return false;
    return std::all_of(std::begin(kProbes), std::end(kProbes), [this](std::string_view probe) {
      std::vector<std::int32_t> ids;
      encode_by_library(probe, ids);
      return decode(ids) == probe;
    });
  }

  std::string serialized_;
  sentencepiece::SentencePieceProcessor processor_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> without_prefix_;  // null if not needed
  mutable std::mutex long_calls_;
  WordRules words_;
  CutRules cuts_;
  bool joins_blocks_ = false;
  mutable WordCache cache_;
  std::int64_t vocab_size_ = 0;
  std::optional<std::int32_t> bos_, eos_, pad_, unk_;
  bool lossless_ = false;
};

}  // namespace

void silence_sentencepiece() {
  // The only public way to set the log level is to start a training, which fails for lack of input.
  // Level 3: only fatal errors.
  static const bool done = [] {
    const std::unordered_map<std::string, std::string> quiet{{"minloglevel", "3"}};
    return !sentencepiece::SentencePieceTrainer::Train(quiet).ok();
  }();
  invariant(done, "SentencePiece training without input succeeded");
}

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(std::string serialized,
                                                        std::string_view name) {
  return std::make_unique<SentencePieceTokenizer>(std::move(serialized), name);
}

}  // namespace sluice::text
