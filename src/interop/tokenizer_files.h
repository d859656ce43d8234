// The tokenizer of a model directory, in both directions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace sluice::interop {

struct TextFile {
  std::string name, content;
};

struct TokenizerUse {
  std::int64_t num_sentinels = 0;  // ids after the tokenizer's pieces
  std::int64_t context_length = 0;
  bool append_eos = false;  // texts end with the end token (T5)
};
std::vector<TextFile> tokenizer_files(const text::Tokenizer& tokenizer, const TokenizerUse& use);

struct ReadTokenizer {
  std::unique_ptr<text::Tokenizer> tokenizer;
  text::TokenizerConfig config;  // the section `tokenizer` that uses this file
};
// kMissingInput or kBadData, naming the file.
ReadTokenizer read_tokenizer_file(const std::filesystem::path& file);

}  // namespace sluice::interop
