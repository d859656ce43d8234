#include "text/huggingface_export.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_format.h"
#include "text/byte_level.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_pipeline.h"

namespace sluice::text {

namespace {

using OrderedJson = nlohmann::ordered_json;
using Options = HuggingFaceTokenizerOptions;

constexpr std::string_view kBytesEos = "</s>";

std::string sentinel_name(std::int64_t index) { return cat("<extra_id_", index, '>'); }

// The `tokenizers` library numbers added tokens in their order here.
void add_sentinels(const Tokenizer& tokenizer, const Options& options, OrderedJson& pipeline) {
  for (std::int64_t i = 0; i < options.num_sentinels; ++i) {
    const std::string name = sentinel_name(options.num_sentinels - 1 - i);
    for (const OrderedJson& token : pipeline["added_tokens"])
      require(token["content"] != name, ExitCode::kUsage, "tokenizer", cat("a piece `", name, '`'),
              "a tokenizer without sentinels");
    OrderedJson token = added_token(tokenizer.vocab_size() + i, name, TokenRole::kSpecial);
    token["lstrip"] = true;  // the blank before a sentinel belongs to the span
    pipeline["added_tokens"].push_back(std::move(token));
  }
}

// A post-processor that adds the token after each text, or before it.
OrderedJson template_rule(const std::string& name, std::int32_t id, bool before) {
  const OrderedJson token{{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
  const auto with_token = [&](std::string_view text) {
    const OrderedJson sequence{{"Sequence", {{"id", text}, {"type_id", 0}}}};
    return before ? OrderedJson::array({token, sequence}) : OrderedJson::array({sequence, token});
  };
  OrderedJson pair = with_token("A");
  for (const OrderedJson& part : with_token("B")) pair.push_back(part);
  return {{"type", "TemplateProcessing"},
          {"single", with_token("A")},
          {"pair", pair},
          {"special_tokens",
           {{name,
             {{"id", name},
              {"ids", OrderedJson::array({id})},
              {"tokens", OrderedJson::array({name})}}}}}};
}

OrderedJson bytes_pipeline() {
  OrderedJson vocab = OrderedJson::object();
  for (int byte = 0; byte < 256; ++byte)
    vocab[byte_level_character(static_cast<unsigned char>(byte))] = byte;
  const OrderedJson byte_level{{"type", "ByteLevel"},
                               {"add_prefix_space", false},
                               {"trim_offsets", false},
                               {"use_regex", false}};
  OrderedJson pipeline = empty_pipeline();
  pipeline["added_tokens"].push_back(added_token(256, kBytesEos, TokenRole::kSpecial));
  pipeline["pre_tokenizer"] = byte_level;
  pipeline["decoder"] = byte_level;
  pipeline["model"] = {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", vocab},
                       {"merges", OrderedJson::array()}};
  return pipeline;
}

// The members in the usual order, those of components sorted, and the vocabulary by ids: an export
// that is imported and exported again has the same bytes.
OrderedJson in_usual_order(const nlohmann::json& json) {
  OrderedJson pipeline = empty_pipeline();
  for (const auto& [key, value] : json.items())
    if (pipeline.contains(key) && !value.is_null()) pipeline[key] = value;
  OrderedJson& vocab = pipeline["model"]["vocab"];
  if (!vocab.is_object()) return pipeline;
  std::vector<std::pair<std::int64_t, std::string>> by_id;
  for (const auto& [text, id] : vocab.items()) by_id.emplace_back(id.get<std::int64_t>(), text);
  std::sort(by_id.begin(), by_id.end());
  vocab = OrderedJson::object();
  auto& entries = vocab.get_ref<OrderedJson::object_t&>();  // operator[] searches linearly
  for (auto& [id, text] : by_id) entries.push_back({text, id});
  return pipeline;
}

// The content of the added token `id`; empty if there is none.
std::string name_of_token(const OrderedJson& pipeline, std::optional<std::int32_t> id) {
  if (!id.has_value()) return {};
  for (const OrderedJson& token : pipeline["added_tokens"])
    if (token["id"] == *id) return token["content"];
  return {};
}

// The same of a token that may be in the vocabulary only.
std::string name_of_any_token(const OrderedJson& pipeline, std::optional<std::int32_t> id) {
  const std::string added = name_of_token(pipeline, id);
  if (!added.empty() || !id.has_value()) return added;
  const OrderedJson& vocab = pipeline["model"]["vocab"];
  if (vocab.is_array()) return vocab.at(static_cast<std::size_t>(*id)).at(0);
  for (const auto& [text, number] : vocab.items())
    if (number == *id) return text;
  return {};
}

// The name of the token for unknown text; empty if there is none.
std::string name_of_unknown(const OrderedJson& pipeline) {
  const OrderedJson& model = pipeline["model"];
  if (model.contains("unk_token"))
    return model["unk_token"].is_string() ? model["unk_token"].get<std::string>() : "";
  if (!model.contains("unk_id") || !model["unk_id"].is_number_unsigned()) return "";
  return model["vocab"][model["unk_id"].get<std::size_t>()][0];
}

struct Names {
  std::string bos, eos, pad, unk;
};

OrderedJson special_tokens(const Names& names, const Options& options) {
  OrderedJson map = OrderedJson::object();
  // A document of a decoder follows an end token. Loaders add it only on request (add_bos_token).
  const std::string& start = names.bos.empty() ? names.eos : names.bos;
  if (!start.empty() && options.num_sentinels == 0) map["bos_token"] = start;
  if (!names.eos.empty()) map["eos_token"] = names.eos;
  if (!names.pad.empty()) map["pad_token"] = names.pad;
  if (!names.unk.empty()) map["unk_token"] = names.unk;
  if (options.num_sentinels == 0) return map;
  OrderedJson& more = map["additional_special_tokens"] = OrderedJson::array();
  for (std::int64_t i = 0; i < options.num_sentinels; ++i) more.push_back(sentinel_name(i));
  return map;
}

OrderedJson tokenizer_config(const OrderedJson& special, const Options& options) {
  OrderedJson config = special;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  // By default also token_type_ids, which `generate` of version 4 rejects.
  config["model_input_names"] = {"input_ids", "attention_mask"};
  if (options.context_length > 0) config["model_max_length"] = options.context_length;
  // Text such as `</s>` stays text, as in Sluice. Sentinels, however, are written as text.
  if (options.num_sentinels == 0) config["split_special_tokens"] = true;
  return config;
}

std::string file_content(const OrderedJson& json) { return json.dump(2) + "\n"; }

bool is_sentencepiece(const Tokenizer& tokenizer) {
  return tokenizer.file_name() == "tokenizer.model";
}

OrderedJson pipeline_of(const Tokenizer& tokenizer) {
  if (is_sentencepiece(tokenizer)) return sentencepiece_pipeline(tokenizer.serialized());
  if (tokenizer.serialized() == make_bytes_tokenizer()->serialized()) return bytes_pipeline();
  return in_usual_order(nlohmann::json::parse(tokenizer.serialized()));
}

}  // namespace

std::vector<TokenizerFile> huggingface_tokenizer_files(const Tokenizer& tokenizer,
                                                       const Options& options) {
  OrderedJson pipeline = pipeline_of(tokenizer);
  const Names names{.bos = name_of_any_token(pipeline, tokenizer.bos()),
                    .eos = name_of_token(pipeline, tokenizer.eos()),
                    .pad = name_of_token(pipeline, tokenizer.pad()),
                    .unk = name_of_unknown(pipeline)};
  add_sentinels(tokenizer, options, pipeline);
  if (options.append_eos) {
    require(!names.eos.empty(), ExitCode::kUsage, "tokenizer", "no end token",
            "a tokenizer with an end token");
    pipeline["post_processor"] = template_rule(names.eos, *tokenizer.eos(), /*before=*/false);
  } else if (!names.bos.empty()) {
    pipeline["post_processor"] = template_rule(names.bos, *tokenizer.bos(), /*before=*/true);
  }
  const OrderedJson special = special_tokens(names, options);
  std::vector<TokenizerFile> files{
      {"tokenizer.json", file_content(in_usual_order(nlohmann::json(pipeline)))},
      {"tokenizer_config.json", file_content(tokenizer_config(special, options))},
      {"special_tokens_map.json", file_content(special)}};
  if (is_sentencepiece(tokenizer))
    files.push_back({"tokenizer.model", with_start_piece(tokenizer.serialized(), "")});
  return files;
}

}  // namespace sluice::text
