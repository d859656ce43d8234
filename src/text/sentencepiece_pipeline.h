// Converts SentencePiece models to pipelines of the `tokenizers` library (tokenizer.json) with the
// same ids, and parts that all exported pipelines share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice::text {

// Special tokens are found in the text before it is normalized and left out of decoded text;
// user-defined ones are found in the normalized text and part of decoded text.
enum class TokenRole { kSpecial, kUserDefined };
nlohmann::ordered_json added_token(std::int64_t id, std::string_view content, TokenRole role);

// All members of tokenizer.json, without a model.
nlohmann::ordered_json empty_pipeline();

// kUsage if the library cannot express the model; the message names the field.
//
// BPE: SentencePiece merges the adjacent pair whose joined piece has the highest score, leftmost
// first; the library merges by the rank of the pair. Splits of one piece are ranked by descending
// length of the left part: in a run of equal characters, leftmost merging leaves the longer piece
// on the left. Unigram: the library also finds control and byte pieces in the text, which a
// pre-tokenizer prevents by splitting their names where no normal piece crosses.
nlohmann::ordered_json sentencepiece_pipeline(std::string_view serialized);

}  // namespace sluice::text
