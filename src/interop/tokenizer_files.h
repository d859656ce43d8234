// The tokenizer of a model directory, from its file to the section `tokenizer`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace sluice::interop {

struct ReadTokenizer {
  std::unique_ptr<text::Tokenizer> tokenizer;
  text::TokenizerConfig config;    // the section `tokenizer` that uses this file
  std::int64_t num_sentinels = 0;  // known from a tokenizer.json only
};
// A SentencePiece model, or tokenizer.json with the tokenizer_config.json next to it. kMissingInput
// or kBadData, naming the file.
ReadTokenizer read_tokenizer_file(const std::filesystem::path& file);
// The same with a start token (text/tokenizer.h). kBadData if the tokenizer does not have it.
ReadTokenizer with_start(ReadTokenizer read, const std::string& token);

}  // namespace sluice::interop
