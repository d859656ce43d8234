// Implements Tokenizer with a pipeline of the `tokenizers` library: added tokens, normalizer,
// pre-tokenizer, model, decoder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/json_field.h"
#include "text/tokenizer.h"

namespace sluice::text {

// The member of the serialized form that names the end and padding tokens, and the start token if
// it is not the end token: {"eos": …, "pad": …, "bos": …}.
inline constexpr std::string_view kRolesKey = "sluice";

inline constexpr std::size_t kMaxTokenizerJsonBytes = 64 << 20;

// `json`: tokenizer.json with kRolesKey; `serialized`: its text. kBadData if it is invalid.
std::unique_ptr<Tokenizer> make_huggingface_tokenizer(const nlohmann::json& json,
                                                      std::string serialized,
                                                      std::string_view name);

}  // namespace sluice::text
