#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"
#include "text/bytes_tokenizer.h"

namespace sluice::text {

namespace {

constexpr std::int32_t kEnd = 256;
constexpr std::int64_t kVocabSize = 257;

class BytesTokenizer : public Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& out) const override {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    out.insert(out.end(), bytes, bytes + text.size());
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) {
      invariant(id >= 0 && id < kVocabSize, cat("token id ", id, " outside the vocabulary"));
      if (id != kEnd) text += static_cast<char>(id);
    }
    return text;
  }
  std::int64_t vocab_size() const override { return kVocabSize; }
  std::optional<std::int32_t> eos() const override { return kEnd; }
  std::optional<std::int32_t> pad() const override { return std::nullopt; }
  std::optional<std::int32_t> unk() const override { return std::nullopt; }
  bool lossless() const override { return true; }
  std::string_view file_name() const override { return "tokenizer.json"; }
  const std::string& serialized() const override { return serialized_; }

 private:
  std::string serialized_ =
      "{\"type\": \"bytes\", \"version\": 1, \"vocab_size\": 257, \"eos\": 256}\n";
};

}  // namespace

std::unique_ptr<Tokenizer> make_bytes_tokenizer() { return std::make_unique<BytesTokenizer>(); }

std::unique_ptr<Tokenizer> parse_bytes_tokenizer(std::string_view serialized,
                                                 std::string_view name) {
  auto tokenizer = make_bytes_tokenizer();
  constexpr std::size_t kMaxBytes = 4096;  // also limits the nesting
  const auto expected = nlohmann::json::parse(tokenizer->serialized());
  const auto found = serialized.size() > kMaxBytes
                         ? nlohmann::json()
                         : nlohmann::json::parse(serialized, nullptr, false);
  if (found.is_discarded() || found != expected) {  // a discarded value is never unequal
    fail(ExitCode::kBadData, name, cat("`", printable(serialized), "`"),
         "a SentencePiece model, or the byte tokenizer's " + expected.dump());
  }
  return tokenizer;
}

}  // namespace sluice::text
