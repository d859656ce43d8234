#include "interop/start_token.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "text/huggingface_tokenizer.h"
#include "text/json_field.h"
#include "text/sentencepiece_model.h"

namespace sluice::interop {
namespace {

namespace fs = std::filesystem;
using text::JsonField;
using Json = nlohmann::json;

// A JSON object next to the tokenizer; null if the file is missing.
struct Neighbour {
  std::string name;
  Json json;
  bool exists() const { return json.is_object(); }
  JsonField root() const { return JsonField(json, name); }
};

Neighbour read_neighbour(const fs::path& directory, const char* file) {
  Neighbour read{.name = (directory / file).string()};
  std::error_code ignored;
  if (!fs::is_regular_file(directory / file, ignored)) return read;
  constexpr std::size_t kMost = text::kMaxTokenizerJsonBytes;
  read.json = text::parse_json_object(read_file(directory / file, kMost), read.name, kMost);
  return read;
}

// A token of tokenizer_config.json: a text, or an object with `content`.
std::string token_in(const JsonField& field) {
  return field.json().is_object() ? field.at("content").string() : field.string();
}

// The token of a template before the text.
std::optional<std::string> prefix_of_template(const JsonField& rule) {
  const JsonField single = rule.at("single").expect_list();
  std::optional<std::string> prefix;
  for (std::size_t i = 0; i < single.size(); ++i) {
    const auto special = single.item(i).expect_object().find("SpecialToken");
    if (!special.has_value()) return prefix;
    const std::string& id = special->at("id").string();
    if (prefix.has_value()) single.fail_here("at most one token before the text");
    const JsonField tokens =
        rule.at("special_tokens").expect_object().at(id).at("tokens").expect_list();
    if (tokens.size() != 1) tokens.fail_here("one token");
    prefix = tokens.item(0).string();
  }
  single.fail_here("a template with the text");
}

std::optional<std::string> prefix_of(const JsonField& processor) {
  const JsonField type_field = processor.at("type");
  const std::string& type = type_field.string();
  if (type == "ByteLevel") return std::nullopt;
  if (type == "TemplateProcessing") return prefix_of_template(processor);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    const JsonField cls = processor.at("cls").expect_list();
    if (cls.size() != 2) cls.fail_here("a token and its id");
    return cls.item(0).string();
  }
  if (type != "Sequence")
    type_field.fail_here(
        "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or Sequence");
  const JsonField list = processor.at("processors").expect_list();
  std::optional<std::string> prefix;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonField one = list.item(i);
    if (one.at("type").string() == "Sequence") one.fail_here("no Sequence in a Sequence");
    const auto token = prefix_of(one);
    if (token.has_value() && prefix.has_value())
      list.fail_here("at most one token before the text");
    if (token.has_value()) prefix = token;
  }
  return prefix;
}

// The control piece `id` of a SentencePiece model.
std::optional<std::string> control_piece(const text::Tokenizer& tokenizer,
                                         std::optional<std::int64_t> id) {
  if (tokenizer.file_name() != "tokenizer.model" || !id.has_value()) return std::nullopt;
  const auto pieces = text::check_model(tokenizer.serialized(), "tokenizer").pieces;
  if (*id >= static_cast<std::int64_t>(pieces.size())) return std::nullopt;
  const text::Piece& piece = pieces[static_cast<std::size_t>(*id)];
  if (piece.type != text::PieceType::kControl) return std::nullopt;
  return std::string(piece.text);
}

// A Llama tokenizer adds its start token unless told otherwise.
bool is_llama_tokenizer(const Neighbour& config) {
  if (!config.exists()) return false;
  const std::string type = config.root().string_or("tokenizer_class", "");
  return type == "LlamaTokenizer" || type == "LlamaTokenizerFast";
}

std::optional<std::string> named_in(const Neighbour& config) {
  const auto field = config.root().find("bos_token");
  if (field.has_value()) return token_in(*field);
  fail(ExitCode::kBadData, config.name + ": bos_token", "no value",
       "the token that add_bos_token puts before a text");
}

}  // namespace

std::optional<std::string> find_start_token(const fs::path& tokenizer_file,
                                            const text::Tokenizer& tokenizer,
                                            std::optional<std::int64_t> bos_id) {
  const fs::path directory = tokenizer_file.parent_path();
  const Neighbour config = read_neighbour(directory, "tokenizer_config.json"),
                  pipeline = read_neighbour(directory, "tokenizer.json");
  std::optional<std::string> processed;
  if (pipeline.exists())
    if (const auto processor = pipeline.root().find("post_processor"))
      processed = prefix_of(*processor);
  const auto added = config.exists() ? config.root().find("add_bos_token") : std::nullopt;
  if (added.has_value()) {
    if (config.root().flag_or("add_bos_token", false)) return named_in(config);
    if (processed.has_value() && !is_llama_tokenizer(config))
      added->fail_here(cat("true or no such key, since tokenizer.json puts `",
                           printable(*processed), "` before a text"));
    return std::nullopt;
  }
  if (pipeline.exists()) return processed;
  if (is_llama_tokenizer(config)) return named_in(config);
  if (config.exists()) return std::nullopt;
  return control_piece(tokenizer, bos_id);
}

}  // namespace sluice::interop
