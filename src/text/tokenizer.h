// Converts text to token ids and back.
//
// encode() and decode() are thread-safe. A lossless tokenizer guarantees decode(encode(x)) == x,
// byte for byte, for every valid UTF-8 text x, whatever its training data.
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
  // The same for the continuation of a document: adds no dummy prefix.
  virtual void encode_continuation(std::string_view text, std::vector<std::int32_t>& out) const {
    encode(text, out);
  }
  // Documents larger than kMaxBlockBytes are read in blocks. If true, blocks are joined before
  // encoding (data/split_reader.h), unless cut_may_change_ids() rules out a difference. If false,
  // the ids of a document are the concatenated ids of its blocks.
  virtual bool joins_blocks() const { return false; }
  // If false, encode(before) + encode_continuation(after) == encode(before + after), guaranteed.
  virtual bool cut_may_change_ids(std::string_view /*before*/, std::string_view /*after*/) const {
    return false;
  }
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  virtual std::int64_t vocab_size() const = 0;
  virtual std::optional<std::int32_t> eos() const = 0;
  // The token before each text of an imported model, if that is another than its end token.
  virtual std::optional<std::int32_t> bos() const { return std::nullopt; }
  // What a text that is generated or scored begins with.
  std::optional<std::int32_t> start() const { return bos().has_value() ? bos() : eos(); }
  // Never produced by encode(); a decoder may start from it.
  virtual std::optional<std::int32_t> pad() const = 0;
  virtual std::optional<std::int32_t> unk() const = 0;  // nullopt if no text is unknown
  virtual bool lossless() const = 0;
  // "tokenizer.model" (SentencePiece) or "tokenizer.json" (bytes, huggingface_import.h).
  virtual std::string_view file_name() const = 0;
  virtual const std::string& serialized() const = 0;  // file content, as stored in checkpoints
  Hash128 hash() const { return hash_of(serialized()); }
};

// Parses the serialized form; `name` appears in messages. kBadData if it is invalid: SentencePiece
// models are validated (wire format, piece table, types, scores, size) before the library loads
// them, since damaged ones crash it.
std::unique_ptr<Tokenizer> parse_tokenizer(std::string_view serialized, std::string_view name);
// Loads a file in one of the formats of serialized().
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);
// The same tokenizer with the start token `token`, which becomes part of the serialized form and
// the hash; without one if it is the end token. kUsage, with `subject`, if `token` is not a control
// piece (SentencePiece) or a token of the vocabulary.
std::unique_ptr<Tokenizer> with_start_token(std::unique_ptr<Tokenizer> tokenizer,
                                            std::string_view token, std::string_view subject);
// The tokenizer that `config` names; null if it has to be trained.
std::unique_ptr<Tokenizer> load_given_tokenizer(const TokenizerConfig& config);
std::unique_ptr<Tokenizer> make_bytes_tokenizer();

// Trains a lossless SentencePiece model on `sample` (parts of the training text, with newlines).
// Deterministic: the same sample and settings give the same bytes. kUsage if vocab_size is too
// large or too small for the text; the message gives the limit.
std::unique_ptr<Tokenizer> train_sentencepiece(const SentencePieceConfig& config,
                                               std::span<const std::string> sample);

}  // namespace sluice::text
