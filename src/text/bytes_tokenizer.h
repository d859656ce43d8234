// The byte tokenizer: ids 0-255 are bytes, 256 is the end-of-document token. It has no trained
// parameters; its file only identifies it.
#pragma once

#include <memory>
#include <string_view>

#include "text/tokenizer.h"

namespace sluice::text {

// Parses {"type": "bytes", "version": 1, "vocab_size": 257, "eos": 256}; kBadData for anything
// else.
std::unique_ptr<Tokenizer> parse_bytes_tokenizer(std::string_view serialized,
                                                 std::string_view name);

}  // namespace sluice::text
