// Implements Tokenizer with a validated SentencePiece model.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace sluice::text {

// Validates `serialized` (sentencepiece_model.h), then loads it. kBadData if it is invalid.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(std::string serialized,
                                                        std::string_view name);

// Stops the library from writing to stderr.
void silence_sentencepiece();

}  // namespace sluice::text
