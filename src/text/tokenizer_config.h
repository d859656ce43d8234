// Section `tokenizer`.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>

#include "config/field.h"

namespace sluice::text {

enum class Algorithm { kBpe, kUnigram };
constexpr auto names_of(Algorithm) {
  return std::array{std::pair{Algorithm::kBpe, std::string_view("bpe")}, std::pair{Algorithm::kUnigram, std::string_view("unigram")}};
}

struct SentencePieceConfig {
  static constexpr std::string_view kind = "sentencepiece";
  Algorithm algorithm = Algorithm::kBpe;
  std::int64_t vocab_size = 4096;
  double character_coverage = 0.9995;
  std::optional<std::string> model;
  config::Bytes max_sample{32 << 20};

  static constexpr auto fields() {
    using config::field;
    using C = SentencePieceConfig;
    return std::tuple{
        field<&C::algorithm>("How the pieces are learnt: `bpe` or `unigram`. Both fall back to bytes, so nothing is unknown."),
        field<&C::vocab_size>("Number of pieces, the 256 bytes and the control pieces included.", config::AtLeast{262}),
        field<&C::character_coverage>(
            "Share of the characters in the sample, counted as often as they occur, that must have pieces; rarer ones "
            "become bytes. Lower it where a small vocabulary meets a script of many characters.",
            config::Between{0.98, 1}),
        field<&C::model>("Path of a given SentencePiece model (bpe or unigram). Where set, nothing is trained and the other fields are "
                         "ignored. A document gets the ids that one call of the SentencePiece library gives for it. Documents above 16 MiB "
                         "are cut for want of memory; cuts that may change ids are counted and reported. A resume may "
                         "name another path to the same model.",
                         config::Path{"tokenizer.model"}),
        field<&C::max_sample>(
            "At most this much training text is sampled, evenly, to train the tokenizer. `unigram` takes at most 8 MiB of it: "
            "it needs 25 bytes of memory for each.",
            config::Positive{})};
  }
};

// One token per byte (ids 0-255) and an end token (256).
struct BytesConfig {
  static constexpr std::string_view kind = "bytes";
  static constexpr auto fields() { return std::tuple{}; }
};

using TokenizerConfig = std::variant<SentencePieceConfig, BytesConfig>;

}  // namespace sluice::text
