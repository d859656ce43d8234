#include "interop/tokenizer_files.h"

#include <utility>
#include <variant>

#include "base/error.h"
#include "base/text_format.h"
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

ReadTokenizer with_start(ReadTokenizer read, const std::string& token) {
  const std::string subject = cat(*text::model_path(read.config), ": start token");
  try {
    read.tokenizer = text::with_start_token(std::move(read.tokenizer), token, subject);
  } catch (const UserError& error) {  // here the file names the token, not the user
    throw UserError(ExitCode::kBadData, error.what());
  }
  if (!read.tokenizer->bos()) return read;
  if (auto* pieces = std::get_if<text::SentencePieceConfig>(&read.config))
    pieces->start_token = token;
  if (auto* imported = std::get_if<text::HuggingFaceConfig>(&read.config))
    imported->start_token = token;
  return read;
}

}  // namespace sluice::interop
