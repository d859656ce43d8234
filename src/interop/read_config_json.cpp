#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "interop/config_json.h"

namespace sluice::interop {
namespace {

using Value = nlohmann::json;
using model::DecoderConfig;
using model::EncoderDecoderConfig;

// Keys of config.json with checked types and ranges.
class Keys {
 public:
  Keys(std::string_view text, std::string source) : source_(std::move(source)) {
    json_ = Value::parse(text, nullptr, /*allow_exceptions=*/false);
    require(json_.is_object(), ExitCode::kBadData, source_,
            json_.is_discarded() ? "invalid JSON" : "a JSON value that is not an object",
            "the configuration of a model");
  }

  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const {
    const Value* found = find(key);
    fail(ExitCode::kBadData, cat(source_, ": ", key),
         found == nullptr ? "no value" : printable(dumped(*found)), expected);
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  std::int64_t count(std::string_view key, double highest,
                     std::optional<std::int64_t> missing = {}) const {
    const Value* found = find(key);
    if (found == nullptr && missing) return *missing;
    const std::string expected = cat("a whole number from 1 to ", std::int64_t(highest));
    if (found == nullptr || !found->is_number_integer()) refuse(key, expected);
    // Unsigned numbers above 2^63 wrap to negative ones.
    const auto value = found->get<std::int64_t>();
    if (value < 1 || static_cast<double>(value) > highest) refuse(key, expected);
    return value;
  }
  double number(std::string_view key, double low, double high, double missing) const {
    const Value* found = find(key);
    if (found == nullptr) return missing;
    const double value = found->is_number() ? found->get<double>() : -1;
    if (!(value >= low && value <= high))
      refuse(key, cat("a number from ", shortest(low), " to ", shortest(high)));
    return value;
  }
  bool flag(std::string_view key, bool missing) const {
    const Value* found = find(key);
    if (found == nullptr) return missing;
    if (!found->is_boolean()) refuse(key, "true or false");
    return found->get<bool>();
  }
  std::string word(std::string_view key, std::string_view missing) const {
    const Value* found = find(key);
    if (found == nullptr) return std::string(missing);
    if (!found->is_string()) refuse(key, "a text");
    return found->get<std::string>();
  }
  // A token id; none if it is missing, null or a list.
  std::optional<std::int64_t> id(std::string_view key) const {
    const Value* found = find(key);
    if (found == nullptr || found->is_array()) return std::nullopt;
    if (!found->is_number_integer() || found->get<std::int64_t>() < 0 ||
        found->get<std::int64_t>() > std::numeric_limits<std::int32_t>::max())
      refuse(key, "a token id");
    return found->get<std::int64_t>();
  }
  // One token id, or a list of them; none if it is missing or null.
  std::vector<std::int64_t> ids(std::string_view key) const {
    const Value* found = find(key);
    if (found == nullptr) return {};
    if (!found->is_array()) return {*id(key)};
    std::vector<std::int64_t> all;
    for (const Value& one : *found) {
      if (!one.is_number_integer() || one.get<std::int64_t>() < 0 ||
          one.get<std::int64_t>() > std::numeric_limits<std::int32_t>::max())
        refuse(key, "a list of token ids");
      all.push_back(one.get<std::int64_t>());
    }
    return all;
  }
  // Features that Sluice does not have: missing, null, false, 0 or empty.
  void require_unused(std::string_view key) const {
    const Value* found = find(key);
    if (found == nullptr || found->empty()) return;
    if (found->is_boolean() && !found->get<bool>()) return;
    if (found->is_number() && found->get<double>() == 0) return;
    refuse(key, "no such key, or null");
  }
  // The value of a nested object; null if it is missing.
  const Value* nested(std::string_view key) const { return find(key); }

 private:
  const Value* find(std::string_view key) const {
    const auto found = json_.find(std::string(key));
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  static std::string dumped(const Value& value) {
    return value.dump(-1, ' ', false, Value::error_handler_t::replace);
  }

  std::string source_;
  Value json_;
};

// Of any layout: they change the function of a model, or the weights are stored in another form.
constexpr std::string_view kUnsupported[] = {
    "sliding_window",         "layer_types",           "quantization_config",
    "attn_logit_softcapping", "partial_rotary_factor", "add_cross_attention",
    "num_local_experts",      "num_experts",           "scale_attn_by_inverse_layer_idx"};

void read_rope(const Keys& keys, DecoderConfig& c) {
  nn::RopeConfig rope{.theta = keys.number("rope_theta", 1e-3, 1e15, 10000)};
  // Both versions: an object with `rope_type` ("type" in old files), and rope_theta in version 5.
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    const Value* nested = keys.nested(key);
    if (nested == nullptr) continue;
    if (!nested->is_object()) keys.refuse(key, "an object");
    for (const auto& [name, value] : nested->items()) {
      if ((name == "rope_type" || name == "type") && value == "default") continue;
      if (name != "rope_theta" || !value.is_number() || !(value.get<double>() >= 1e-3) ||
          !(value.get<double>() <= 1e15))
        keys.refuse(key, "rope_type default");
      rope.theta = value.get<double>();
    }
  }
  c.position = rope;
}

void read_llama(const Keys& keys, DecoderConfig& c) {
  c.d_model = keys.count("hidden_size", model::kMaxWidth);
  c.d_ff = keys.count("intermediate_size", model::kMaxHiddenWidth);
  c.num_layers = keys.count("num_hidden_layers", model::kMaxLayers);
  c.num_heads = keys.count("num_attention_heads", model::kMaxHeads);
  c.num_kv_heads = keys.count("num_key_value_heads", model::kMaxHeads, c.num_heads);
  if (!keys.has("head_dim") && c.d_model % c.num_heads != 0)
    keys.refuse("num_attention_heads", cat("a divisor of hidden_size ", c.d_model));
  c.head_dim = keys.count("head_dim", model::kMaxHeadDim, c.d_model / c.num_heads);
  if (*c.head_dim % 2 != 0) keys.refuse("head_dim", "an even number");
  if (c.num_heads % *c.num_kv_heads != 0)
    keys.refuse("num_key_value_heads", cat("a divisor of num_attention_heads ", c.num_heads));
  c.norm = {.type = nn::NormType::kRmsNorm, .eps = keys.number("rms_norm_eps", 1e-30, 1, 1e-6)};
  c.bias = keys.flag("attention_bias", false);
  if (keys.flag("mlp_bias", false) != c.bias)
    keys.refuse("mlp_bias", cat(c.bias ? "true" : "false", ", as attention_bias"));
  if (const std::int64_t split = keys.count("pretraining_tp", 1e6, 1); split != 1)
    keys.refuse("pretraining_tp", "1");
  c.tie_embeddings = keys.flag("tie_word_embeddings", false);
  read_rope(keys, c);
}

void read_gpt2(const Keys& keys, DecoderConfig& c) {
  c.d_model = keys.count("n_embd", model::kMaxWidth);
  c.d_ff = keys.count("n_inner", model::kMaxHiddenWidth, 4 * c.d_model);
  c.num_layers = keys.count("n_layer", model::kMaxLayers);
  c.num_heads = keys.count("n_head", model::kMaxHeads);
  if (c.d_model % c.num_heads != 0) keys.refuse("n_head", cat("a divisor of n_embd ", c.d_model));
  c.num_kv_heads = c.num_heads;
  c.head_dim = c.d_model / c.num_heads;
  c.norm = {.type = nn::NormType::kLayerNorm,
            .eps = keys.number("layer_norm_epsilon", 1e-30, 1, 1e-5)};
  if (!keys.flag("scale_attn_weights", true)) keys.refuse("scale_attn_weights", "true");
  c.bias = true;
  c.tie_embeddings = keys.flag("tie_word_embeddings", true);
  c.dropout = keys.number("resid_pdrop", 0, 0.99, 0.1);
  c.position = nn::LearnedConfig{.max_length = keys.count("n_positions", 16777216)};
}

EncoderDecoderConfig read_t5(const Keys& keys) {
  EncoderDecoderConfig c;
  c.d_model = keys.count("d_model", model::kMaxWidth);
  c.head_dim = keys.count("d_kv", model::kMaxHeadDim);
  c.d_ff = keys.count("d_ff", model::kMaxHiddenWidth);
  c.num_layers = keys.count("num_layers", model::kMaxLayers);
  c.num_decoder_layers = keys.count("num_decoder_layers", model::kMaxLayers, c.num_layers);
  c.num_heads = keys.count("num_heads", model::kMaxHeads);
  c.norm = {.type = nn::NormType::kRmsNorm,
            .eps = keys.number("layer_norm_epsilon", 1e-30, 1, 1e-6)};
  nn::T5RelativeConfig position{
      .num_buckets = keys.count("relative_attention_num_buckets", 65536, 32),
      .max_distance = keys.count("relative_attention_max_distance", 16777216, 128)};
  if (position.num_buckets < 4 || position.num_buckets % 2 != 0)
    keys.refuse("relative_attention_num_buckets", "an even number from 4 to 65536");
  if (position.max_distance <= position.num_buckets / 2)
    keys.refuse("relative_attention_max_distance",
                cat("more than half of relative_attention_num_buckets ", position.num_buckets));
  c.position = position;
  c.dropout = keys.number("dropout_rate", 0, 0.99, 0.1);
  // Version 5 always writes tie_word_embeddings true; then the scale tells T5 from T5 1.1.
  c.tie_embeddings = keys.flag("scale_decoder_outputs", keys.flag("tie_word_embeddings", true));
  if (c.tie_embeddings && !keys.flag("tie_word_embeddings", true))
    keys.refuse("scale_decoder_outputs", "false, as tie_word_embeddings");
  return c;
}

// The activation if the key is missing, as in transformers.
std::string_view default_activation(const Layout& layout) {
  constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {
      {"llama", "silu"}, {"arcee", "relu2"}, {"gpt2", "gelu_new"}, {"t5", "relu"}};
  for (const auto& [type, name] : kDefaults)
    if (type == layout.model_type) return name;
  invariant(false, "every layout has a default activation");
  return {};
}

nn::FfnName read_ffn(const Keys& keys, const Layout& layout) {
  const std::string_view key = layout.activation_key;
  const std::string_view ffn = layout.ffn_of(keys.word(key, default_activation(layout)));
  if (ffn.empty()) {
    std::string known;
    for (const ActivationName& one : layout.activations)
      known += cat(known.empty() ? "" : ", ", one.name);
    keys.refuse(key, cat("one of ", known));
  }
  return nn::FfnName::at(nn::FfnName::find(ffn));
}

ModelFacts read_facts(const Keys& keys, const Layout& layout) {
  const bool t5 = layout.model_type == "t5", gpt2 = layout.model_type == "gpt2";
  ModelFacts facts{.vocab_rows = keys.count("vocab_size", model::kMaxVocabulary),
                   .context_length = t5     ? keys.count("n_positions", 65536, 512)
                                     : gpt2 ? keys.count("n_positions", 16777216)
                                            : keys.count("max_position_embeddings", 16777216, 2048),
                   .bos = keys.id("bos_token_id"),
                   .eos = keys.id("eos_token_id"),
                   .pad = keys.id("pad_token_id")};
  if (!t5) return facts;
  facts.num_sentinels = keys.count("extra_ids", 65536, 100);
  facts.decoder_start = keys.id("decoder_start_token_id");
  if (!facts.decoder_start) facts.decoder_start = keys.id("pad_token_id");
  return facts;
}

}  // namespace

HuggingFaceConfig read_config_json(std::string_view text, const std::string& source) {
  const Keys keys(text, source);
  HuggingFaceConfig read{.layout = find_layout(keys.word("model_type", ""))};
  if (read.layout == nullptr) keys.refuse("model_type", "llama, arcee, gpt2 or t5");
  for (const std::string_view key : kUnsupported) keys.require_unused(key);
  const nn::FfnName ffn = read_ffn(keys, *read.layout);
  read.facts = read_facts(keys, *read.layout);
  read.end_tokens = keys.ids("eos_token_id");
  if (read.layout->model_type == "t5") {
    EncoderDecoderConfig c = read_t5(keys);
    c.ffn = ffn;
    read.model = c;
    return read;
  }
  DecoderConfig c;
  read.layout->model_type == "gpt2" ? read_gpt2(keys, c) : read_llama(keys, c);
  c.ffn = ffn;
  read.model = c;
  return read;
}

}  // namespace sluice::interop
