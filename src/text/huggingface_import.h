// Reads tokenizers in the format of the `tokenizers` library (tokenizer.json).
//
// Supported: BPE on bytes (GPT-2, Llama 3, Qwen), BPE with byte fallback (Llama 2) and Unigram
// (T5), with the normalizers and pre-tokenizers of those models. Ids equal those of the library
// with add_special_tokens=False and encode_special_tokens=True: as in Sluice's other tokenizers, no
// text becomes an end token or another special token.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "text/tokenizer.h"

namespace sluice::text {

struct ImportedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  // T5's `<extra_id_N>` at the end of the vocabulary, which are not part of `tokenizer`: they are
  // the sentinels of objective.sentinels, in the same order (data/span_rules.h).
  std::int64_t num_sentinels = 0;
};

// `tokenizer_json`: content of tokenizer.json. `tokenizer_config`: content of
// tokenizer_config.json, which names the end and padding tokens; empty if there is none: then they
// are found by their usual names. `name`: subject of messages. kBadData for invalid files and
// unsupported components; the message names the field. Does not read tokenizer.model: pass that to
// parse_tokenizer().
ImportedTokenizer import_huggingface_tokenizer(std::string_view tokenizer_json,
                                               std::string_view tokenizer_config,
                                               std::string_view name);

// Reads the file and the tokenizer_config.json next to it, if any.
ImportedTokenizer load_huggingface_tokenizer(const std::filesystem::path& tokenizer_json);

// Parses the serialized form of an imported tokenizer: tokenizer.json without sentinels, with a
// member `sluice` that names the end, padding and start tokens. kBadData if it is invalid.
std::unique_ptr<Tokenizer> parse_huggingface_tokenizer(std::string_view serialized,
                                                       std::string_view name);

// An imported tokenizer with another start token. kUsage, with `subject`, if `token` is not in the
// vocabulary.
std::unique_ptr<Tokenizer> huggingface_tokenizer_with_start(const Tokenizer& tokenizer,
                                                            std::string_view token,
                                                            std::string_view subject);

}  // namespace sluice::text
