#include "text/tokenizer.h"

#include "base/file.h"
#include "text/bytes_tokenizer.h"
#include "text/huggingface_import.h"
#include "text/regular_file.h"
#include "text/sentencepiece_tokenizer.h"

namespace sluice::text {

namespace {
constexpr std::uint64_t kMaxFileBytes = 256 << 20;
template <class Config>
auto path_in(Config& config) -> decltype(&std::get<HuggingFaceConfig>(config).model) {
  if (auto* pieces = std::get_if<SentencePieceConfig>(&config))
    return pieces->model.has_value() ? &*pieces->model : nullptr;
  auto* imported = std::get_if<HuggingFaceConfig>(&config);
  return imported != nullptr ? &imported->model : nullptr;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer(std::string_view serialized, std::string_view name) {
  // A SentencePiece model never starts with a brace, but with the tag of its first field.
  const bool is_json = serialized.starts_with('{');
  if (is_json && serialized.find("\"model\"") != std::string_view::npos)
    return parse_huggingface_tokenizer(serialized, name);
  if (is_json) return parse_bytes_tokenizer(serialized, name);
  return make_sentencepiece_tokenizer(std::string(serialized), name);
}

std::string* model_path(TokenizerConfig& config) { return path_in(config); }
const std::string* model_path(const TokenizerConfig& config) { return path_in(config); }

std::unique_ptr<Tokenizer> load_given_tokenizer(const TokenizerConfig& config) {
  if (std::holds_alternative<BytesConfig>(config)) return make_bytes_tokenizer();
  const std::string* path = model_path(config);
  if (path == nullptr) return nullptr;
  return std::holds_alternative<HuggingFaceConfig>(config)
             ? load_huggingface_tokenizer(*path).tokenizer
             : load_tokenizer(*path);
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  require_regular_file(path);
  return parse_tokenizer(read_file(path, kMaxFileBytes), path.string());
}

}  // namespace sluice::text
