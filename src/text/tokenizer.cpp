#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "text/bytes_tokenizer.h"
#include "text/huggingface_import.h"
#include "text/regular_file.h"
#include "text/sentencepiece_model.h"
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

bool is_control_piece(std::string_view serialized, std::string_view text) {
  const SentencePieceModel model = check_model(serialized, "tokenizer");
  return std::any_of(model.pieces.begin(), model.pieces.end(), [text](const Piece& piece) {
    return piece.type == PieceType::kControl && piece.text == text;
  });
}

// The tokenizer of the file, without the start token of `config`.
std::unique_ptr<Tokenizer> load_without_start(const TokenizerConfig& config,
                                              const std::string& path) {
  return std::holds_alternative<HuggingFaceConfig>(config)
             ? load_huggingface_tokenizer(path).tokenizer
             : load_tokenizer(path);
}

const std::string* start_token_in(const TokenizerConfig& config) {
  const std::optional<std::string>* token = nullptr;
  if (const auto* pieces = std::get_if<SentencePieceConfig>(&config)) token = &pieces->start_token;
  if (const auto* imported = std::get_if<HuggingFaceConfig>(&config))
    token = &imported->start_token;
  return token != nullptr && token->has_value() ? &**token : nullptr;
}

}  // namespace

std::unique_ptr<Tokenizer> with_start_token(std::unique_ptr<Tokenizer> tokenizer,
                                            std::string_view token, std::string_view subject) {
  const auto refuse = [&](std::string_view expected) {
    fail(ExitCode::kUsage, subject, printable(token), expected);
  };
  std::unique_ptr<Tokenizer> started;
  if (tokenizer->file_name() == "tokenizer.model") {
    if (!is_control_piece(tokenizer->serialized(), token))
      refuse("a control piece of the tokenizer, e.g. <s>");
    started =
        make_sentencepiece_tokenizer(with_start_piece(tokenizer->serialized(), token), subject);
  } else if (tokenizer->serialized() != make_bytes_tokenizer()->serialized()) {
    started = huggingface_tokenizer_with_start(*tokenizer, token, subject);
  } else {
    refuse("no start token, since the tokenizer is that of bytes");
  }
  return started->bos() == started->eos() ? std::move(tokenizer) : std::move(started);
}

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
  const std::string* start = start_token_in(config);
  require(path != nullptr || start == nullptr, ExitCode::kUsage, "tokenizer.start_token",
          start == nullptr ? "" : printable(*start), "null, or an existing tokenizer.model");
  if (path == nullptr) return nullptr;
  std::unique_ptr<Tokenizer> tokenizer = load_without_start(config, *path);
  if (start == nullptr) return tokenizer;
  return with_start_token(std::move(tokenizer), *start, "tokenizer.start_token");
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  require_regular_file(path);
  return parse_tokenizer(read_file(path, kMaxFileBytes), path.string());
}

}  // namespace sluice::text
