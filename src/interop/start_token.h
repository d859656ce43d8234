// The token that a model of Hugging Face expects before each text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "text/tokenizer.h"

namespace sluice::interop {

// The token that AutoTokenizer puts before a text, by the files next to `tokenizer_file`, in this
// order:
//   1. `add_bos_token` of tokenizer_config.json: if true, its `bos_token`.
//   2. The post-processor of tokenizer.json: TemplateProcessing, BertProcessing or
//      RobertaProcessing, alone or in a Sequence.
//   3. Without tokenizer.json: `bos_token` of a LlamaTokenizer, which adds it by default. Without
//      tokenizer_config.json, the control piece `bos_id` (bos_token_id of config.json).
// nullopt if there is none, or if it is the end token. kBadData naming file and field: a token that
// `tokenizer` does not have, several tokens before a text, files that contradict each other.
std::optional<std::string> find_start_token(const std::filesystem::path& tokenizer_file,
                                            const text::Tokenizer& tokenizer,
                                            std::optional<std::int64_t> bos_id);

}  // namespace sluice::interop
