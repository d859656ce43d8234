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
  return std::array{std::pair{Algorithm::kBpe, std::string_view("bpe")},
                    std::pair{Algorithm::kUnigram, std::string_view("unigram")}};
}

inline constexpr std::string_view kStartTokenHelp =
    "Token before each text that is generated or scored, e.g. `<s>`, for an existing model. "
    "`sluice "
    "import` sets it for models that expect one. Training and `eval` do not use it: documents "
    "follow the end token (`corpus.separator`). `null`: generation and scores use the end token, "
    "too.";

struct SentencePieceConfig {
  static constexpr std::string_view kind = "sentencepiece";
  Algorithm algorithm = Algorithm::kBpe;
  std::int64_t vocab_size = 4096;
  double character_coverage = 0.9995;
  std::optional<std::string> model;
  std::optional<std::string> start_token;
  config::Bytes max_sample{32 << 20};

  static constexpr auto fields() {
    using config::field;
    using C = SentencePieceConfig;
    return std::tuple{
        field<&C::algorithm>(
            "Training algorithm: `bpe` or `unigram`. Both fall back to bytes, so no text is "
            "unknown."),
        field<&C::vocab_size>("Number of pieces, including the 256 bytes and the control pieces.",
                              config::AtLeast{262}),
        field<&C::character_coverage>(
            "Share of the characters in the sample, weighted by frequency, that must have pieces; "
            "rarer ones become bytes. Lower it for a small vocabulary and a script with many "
            "characters.",
            config::Between{0.98, 1}),
        field<&C::model>(
            "Path of an existing SentencePiece model (bpe or unigram). If set, nothing is trained "
            "and the other fields are ignored. The ids of a document equal those of a single call "
            "of the SentencePiece library. Documents above 16 MiB are split to limit memory use; "
            "splits that may change ids are counted and reported. A resumed run may name another "
            "path to the same model.",
            config::Path{"tokenizer.model"}),
        field<&C::start_token>(kStartTokenHelp, config::NonEmpty{}),
        field<&C::max_sample>(
            "Maximum amount of training text sampled, evenly, to train the tokenizer. `unigram` "
            "uses at most 8 MiB of it, as it needs 25 bytes of memory per byte.",
            config::Positive{})};
  }
};

// One token per byte (ids 0-255) and an end-of-document token (256).
struct BytesConfig {
  static constexpr std::string_view kind = "bytes";
  static constexpr auto fields() { return std::tuple{}; }
};

// A tokenizer in the format of the `tokenizers` library.
struct HuggingFaceConfig {
  static constexpr std::string_view kind = "huggingface";
  std::string model;
  std::optional<std::string> start_token;

  static constexpr auto fields() {
    return std::tuple{
        config::field<&HuggingFaceConfig::model>(
            "Path of a tokenizer.json of a Hugging Face model: BPE on bytes (GPT-2, Llama 3, "
            "Qwen), "
            "BPE "
            "with byte fallback (Llama 2) or Unigram (T5). A tokenizer_config.json next to it "
            "names "
            "the "
            "end and padding tokens. No text becomes a special token. The sentinels of T5 "
            "(`<extra_id_0>`) are not part of the tokenizer: see `objective.sentinels`. If the "
            "model "
            "also has a tokenizer.model, prefer `type: sentencepiece` with that file.",
            config::NonEmpty{}, config::Path{"tokenizer.model"}),
        config::field<&HuggingFaceConfig::start_token>(kStartTokenHelp, config::NonEmpty{})};
  }
};

using TokenizerConfig = std::variant<SentencePieceConfig, BytesConfig, HuggingFaceConfig>;

// Path of the existing tokenizer that `config` names; null if there is none.
std::string* model_path(TokenizerConfig& config);
const std::string* model_path(const TokenizerConfig& config);

}  // namespace sluice::text
