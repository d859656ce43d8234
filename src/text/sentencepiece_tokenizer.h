// A checked SentencePiece model behind the Tokenizer interface.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace sluice::text {

// Checks `serialized` (sentencepiece_model.h), then loads it. kBadData where it is damaged.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(std::string serialized, std::string_view name);

// The library writes to stderr unless told otherwise, which is not ours to allow.
void silence_sentencepiece();

}  // namespace sluice::text
