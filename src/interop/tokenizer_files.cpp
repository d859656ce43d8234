#include "interop/tokenizer_files.h"

#include <utility>

#include "text/huggingface_import.h"

namespace sluice::interop {

ReadTokenizer read_tokenizer_file(const std::filesystem::path& file) {
  const std::string path = std::filesystem::absolute(file).string();
  if (file.extension() == ".json") {
    text::ImportedTokenizer imported = text::load_huggingface_tokenizer(file);
    return {.tokenizer = std::move(imported.tokenizer),
            .config = text::HuggingFaceConfig{.model = path},
            .num_sentinels = imported.num_sentinels};
  }
  ReadTokenizer read{.tokenizer = text::load_tokenizer(file)};
  read.config =
      text::SentencePieceConfig{.vocab_size = read.tokenizer->vocab_size(), .model = path};
  return read;
}

}  // namespace sluice::interop
