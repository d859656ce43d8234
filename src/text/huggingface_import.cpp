#include "text/huggingface_import.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "text/huggingface_export.h"
#include "text/huggingface_tokenizer.h"
#include "text/json_field.h"
#include "text/regular_file.h"

namespace sluice::text {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 16 << 20;

constexpr std::string_view kEosNames[] = {"</s>",  "<|endoftext|>", "<|end_of_text|>",
                                          "<eos>", "<|im_end|>",    "[EOS]"};
constexpr std::string_view kPadNames[] = {"<pad>", "<|pad|>", "[PAD]", "<|endofpad|>"};

// Token texts of `root` by membership: added tokens and the vocabulary.
bool has_token(const JsonField& root, std::string_view text) {
  const auto added = root.find("added_tokens");
  for (std::size_t i = 0; added.has_value() && i < added->expect_list().size(); ++i)
    if (added->item(i).at("content").string() == text) return true;
  const Json& vocab = root.at("model").at("vocab").json();
  if (vocab.is_object()) return vocab.contains(text);
  return std::any_of(vocab.begin(), vocab.end(), [text](const Json& entry) {
    return entry.is_array() && !entry.empty() && entry[0] == text;
  });
}

// The token of a role in tokenizer_config.json: a text, or an object with `content`; null if unset.
Json configured_token(const JsonField& root, const JsonField& config, std::string_view key) {
  const auto field = config.find(key);
  if (!field.has_value()) return nullptr;
  const std::string text =
      field->json().is_object() ? field->at("content").string() : field->string();
  if (!has_token(root, text)) field->fail_here("a token of tokenizer.json");
  return text;
}

Json usual_token(const JsonField& root, std::span<const std::string_view> names) {
  for (const std::string_view name : names)
    if (has_token(root, name)) return std::string(name);
  return nullptr;
}

Json roles(const JsonField& root, std::string_view tokenizer_config, std::string_view name) {
  if (tokenizer_config.empty())
    return {{"eos", usual_token(root, kEosNames)}, {"pad", usual_token(root, kPadNames)}};
  const std::string config_name = cat(name, ": tokenizer_config.json");
  const Json config = parse_json_object(tokenizer_config, config_name, kMaxConfigBytes);
  const JsonField field(config, config_name);
  return {{"eos", configured_token(root, field, "eos_token")},
          {"pad", configured_token(root, field, "pad_token")}};
}

// ---- sentinels ----

// The largest id of a token. Checks that added tokens have a content and an id.
std::int64_t last_id(const JsonField& root) {
  std::int64_t last = -1;
  const auto added = root.find("added_tokens");
  for (std::size_t i = 0; added.has_value() && i < added->expect_list().size(); ++i) {
    added->item(i).at("content").string();
    last = std::max(last, added->item(i).at("id").whole_number(0, INT32_MAX));
  }
  const Json& vocab = root.at("model").at("vocab").json();
  if (vocab.is_array()) return std::max(last, static_cast<std::int64_t>(vocab.size()) - 1);
  for (const Json& id : vocab)
    if (id.is_number_integer()) last = std::max(last, id.get<std::int64_t>());
  return last;
}

// Removes `<extra_id_0>` with the largest id, `<extra_id_1>` with the one before, and so on.
std::int64_t remove_sentinels(Json& json, const JsonField& root) {
  const std::int64_t last = last_id(root);
  const auto added = json.find("added_tokens");
  if (added == json.end() || added->is_null()) return 0;
  std::unordered_map<std::string, Json> ids;
  for (const Json& token : *added) ids.emplace(token.at("content"), token.at("id"));
  std::unordered_set<std::string> sentinels;
  while (true) {
    const auto count = static_cast<std::int64_t>(sentinels.size());
    const auto found = ids.find(cat("<extra_id_", count, '>'));
    if (found == ids.end() || found->second != last - count) break;
    sentinels.insert(found->first);
  }
  const auto count = static_cast<std::int64_t>(sentinels.size());
  auto& tokens = added->get_ref<Json::array_t&>();
  std::erase_if(tokens, [&](const Json& token) { return sentinels.contains(token["content"]); });
  Json& vocab = json["model"]["vocab"];
  if (vocab.is_object()) {
    for (const std::string& sentinel : sentinels) vocab.erase(sentinel);
  } else if (static_cast<std::int64_t>(vocab.size()) == last + 1) {
    vocab.erase(vocab.end() - count, vocab.end());  // a list has them too, as in T5's files
  }
  return count;
}

}  // namespace

ImportedTokenizer import_huggingface_tokenizer(std::string_view tokenizer_json,
                                               std::string_view tokenizer_config,
                                               std::string_view name) {
  Json json = parse_json_object(tokenizer_json, name, kMaxTokenizerJsonBytes);
  for (const char* key : {"version", "truncation", "padding", "post_processor"}) json.erase(key);
  const JsonField root(json, std::string(name));
  ImportedTokenizer imported;
  imported.num_sentinels = remove_sentinels(json, root);
  json[std::string(kRolesKey)] = roles(root, tokenizer_config, name);
  imported.tokenizer = make_huggingface_tokenizer(json, json.dump() + "\n", name);
  // The export of the byte tokenizer becomes the byte tokenizer again.
  auto bytes = make_bytes_tokenizer();
  if (imported.tokenizer->vocab_size() != bytes->vocab_size()) return imported;
  const auto files = huggingface_tokenizer_files(*imported.tokenizer, {});
  if (files.front().content == huggingface_tokenizer_files(*bytes, {}).front().content)
    imported.tokenizer = std::move(bytes);
  return imported;
}

std::unique_ptr<Tokenizer> parse_huggingface_tokenizer(std::string_view serialized,
                                                       std::string_view name) {
  const Json json = parse_json_object(serialized, name, kMaxTokenizerJsonBytes);
  if (!json.contains(kRolesKey))
    fail(ExitCode::kBadData, name, cat("no member `", kRolesKey, '`'),
         "an imported tokenizer; for a tokenizer.json, tokenizer: {type: huggingface}");
  return make_huggingface_tokenizer(json, std::string(serialized), name);
}

std::unique_ptr<Tokenizer> huggingface_tokenizer_with_start(const Tokenizer& tokenizer,
                                                            std::string_view token,
                                                            std::string_view subject) {
  Json json = Json::parse(tokenizer.serialized());
  require(has_token(JsonField(json, std::string(subject)), token), ExitCode::kUsage, subject,
          printable(token), "a token of the tokenizer");
  json[std::string(kRolesKey)]["bos"] = token;
  return make_huggingface_tokenizer(json, json.dump() + "\n", subject);
}

ImportedTokenizer load_huggingface_tokenizer(const std::filesystem::path& tokenizer_json) {
  require_regular_file(tokenizer_json);
  const auto config = tokenizer_json.parent_path() / "tokenizer_config.json";
  const std::string roles_text =
      std::filesystem::exists(config) ? read_file(config, kMaxConfigBytes) : std::string();
  return import_huggingface_tokenizer(read_file(tokenizer_json, kMaxTokenizerJsonBytes), roles_text,
                                      tokenizer_json.string());
}

}  // namespace sluice::text
