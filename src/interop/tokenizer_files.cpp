#include "interop/tokenizer_files.h"

#include "base/file.h"

namespace sluice::interop {

std::vector<TextFile> tokenizer_files(const text::Tokenizer& tokenizer, const TokenizerUse&) {
  return {{std::string(tokenizer.file_name()), tokenizer.serialized()}};
}

ReadTokenizer read_tokenizer_file(const std::filesystem::path& file) {
  ReadTokenizer read{.tokenizer = text::load_tokenizer(file)};
  if (read.tokenizer->file_name() == "tokenizer.model") {
    read.config = text::SentencePieceConfig{.vocab_size = read.tokenizer->vocab_size(),
                                            .model = std::filesystem::absolute(file).string()};
  } else {
    read.config = text::BytesConfig{};
  }
  return read;
}

}  // namespace sluice::interop
