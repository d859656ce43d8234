// Text to token ids and back.
//
// encode() and decode() are const and safe to call from several threads. A lossless tokenizer gives decode(encode(x)) == x
// for every valid UTF-8 x (byte for byte), whatever it was trained on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "text/tokenizer_config.h"

namespace sluice::text {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual void encode(std::string_view text, std::vector<std::int32_t>& out) const = 0;  // appends
  // The same for text that goes on with a document whose start was encoded before: no dummy prefix is added.
  virtual void encode_continuation(std::string_view text, std::vector<std::int32_t>& out) const { encode(text, out); }
  // Documents above kMaxBlockBytes come in blocks. True: blocks are joined before they are encoded (data/split_reader.h),
  // unless cut_may_change_ids() rules out a difference. False: the ids of a document are those of its blocks.
  virtual bool joins_blocks() const { return false; }
  // False: encode(before) and encode_continuation(after) give the ids of encode(before + after), for certain.
  virtual bool cut_may_change_ids(std::string_view /*before*/, std::string_view /*after*/) const { return false; }
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  virtual std::int64_t vocab_size() const = 0;
  virtual std::optional<std::int32_t> eos() const = 0;
  virtual std::optional<std::int32_t> pad() const = 0;  // never produced; what a decoder may start from
  virtual std::optional<std::int32_t> unk() const = 0;  // none: nothing is unknown
  virtual bool lossless() const = 0;
  virtual std::string_view file_name() const = 0;     // "tokenizer.model" (SentencePiece) or "tokenizer.json" (bytes)
  virtual const std::string& serialized() const = 0;  // the file's content, as checkpoints store it
  Hash128 hash() const { return hash_of(serialized()); }
};

// From the serialized form. `name` appears in messages. kBadData where it is damaged: SentencePiece models are checked
// (wire format, piece table, types, scores, size) before the library sees them, since damaged ones crash it.
std::unique_ptr<Tokenizer> parse_tokenizer(std::string_view serialized, std::string_view name);
// `path`: a file in one of the two forms.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);
std::unique_ptr<Tokenizer> make_bytes_tokenizer();

// Trains a lossless SentencePiece model on `sample` (pieces of training text, newlines inside kept). Deterministic: the same sample and
// settings give the same bytes. kUsage where vocab_size is larger than the text supports, naming the largest that would work.
std::unique_ptr<Tokenizer> train_sentencepiece(const SentencePieceConfig& config, std::span<const std::string> sample);

}  // namespace sluice::text
