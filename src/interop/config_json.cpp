#include "interop/config_json.h"

#include <nlohmann/json.hpp>
#include <variant>

namespace sluice::interop {
namespace {

using Json = nlohmann::ordered_json;
using model::DecoderConfig;
using model::EncoderDecoderConfig;

Json or_null(const std::optional<std::int64_t>& id) { return id ? Json(*id) : Json(); }

void add_rope(Json& json, const DecoderConfig& c) {
  const double theta = std::get<nn::RopeConfig>(c.position).theta;
  json["hidden_size"] = c.d_model;
  json["intermediate_size"] = c.resolved_d_ff().d_ff;
  json["num_hidden_layers"] = c.num_layers;
  json["num_attention_heads"] = c.num_heads;
  json["num_key_value_heads"] = c.resolved_kv_heads();
  json["head_dim"] = c.resolved_head_dim();
  json["rms_norm_eps"] = c.norm.eps;
  json["rope_theta"] = theta;  // version 4
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", theta}};
  json["rope_scaling"] = nullptr;
  json["attention_bias"] = c.bias;
  json["mlp_bias"] = c.bias;
  json["attention_dropout"] = 0.0;
}

void add_gpt2(Json& json, const DecoderConfig& c) {
  json["n_embd"] = c.d_model;
  json["n_inner"] = c.resolved_d_ff().d_ff;
  json["n_layer"] = c.num_layers;
  json["n_head"] = c.num_heads;
  json["layer_norm_epsilon"] = c.norm.eps;
  json["resid_pdrop"] = c.dropout;
  json["embd_pdrop"] = c.dropout;
  json["attn_pdrop"] = 0.0;
  json["scale_attn_weights"] = true;
  json["scale_attn_by_inverse_layer_idx"] = false;
  json["reorder_and_upcast_attn"] = false;
}

void add_rest(Json& json, const DecoderConfig& c, const ModelFacts& facts) {
  const bool learned = std::holds_alternative<nn::LearnedConfig>(c.position);
  learned ? add_gpt2(json, c) : add_rope(json, c);
  json[learned ? "n_positions" : "max_position_embeddings"] = facts.context_length;
  json["tie_word_embeddings"] = c.tie_embeddings;
}

void add_rest(Json& json, const EncoderDecoderConfig& c, const ModelFacts& facts) {
  const auto& position = std::get<nn::T5RelativeConfig>(c.position);
  json["is_encoder_decoder"] = true;
  json["d_model"] = c.d_model;
  json["d_kv"] = c.resolved_head_dim();
  json["d_ff"] = c.resolved_d_ff().d_ff;
  json["num_layers"] = c.num_layers;
  json["num_decoder_layers"] = c.resolved_decoder_layers();
  json["num_heads"] = c.num_heads;
  json["relative_attention_num_buckets"] = position.num_buckets;
  json["relative_attention_max_distance"] = position.max_distance;
  json["layer_norm_epsilon"] = c.norm.eps;
  json["dropout_rate"] = c.dropout;
  json["n_positions"] = facts.context_length;
  json["extra_ids"] = facts.num_sentinels;
  // Version 4 ties and scales if the first is true. Version 5 scales if the second is true, and
  // ties unless the file contains a head with other values.
  json["tie_word_embeddings"] = c.tie_embeddings;
  json["scale_decoder_outputs"] = c.tie_embeddings;
  json["decoder_start_token_id"] = or_null(facts.decoder_start);
}

const nn::FfnVariant& ffn_of(const model::ModelConfig& config) {
  return std::visit([](const auto& c) -> const nn::FfnVariant& { return *c.ffn; }, config);
}

}  // namespace

Json config_json(const model::ModelConfig& config, const ModelFacts& facts) {
  const Layout& layout = layout_of(config);
  Json json = {
      {"architectures", {std::string(layout.class_name)}},
      {"model_type", std::string(layout.model_type)},
      {"vocab_size", facts.vocab_rows},
      {std::string(layout.activation_key), std::string(layout.activation_of(ffn_of(config).name))}};
  std::visit([&](const auto& c) { add_rest(json, c, facts); }, config);
  json["bos_token_id"] = or_null(facts.bos);  // null: AutoTokenizer adds none to a text
  json["eos_token_id"] = or_null(facts.eos);
  json["pad_token_id"] = or_null(facts.pad);
  json["use_cache"] = true;
  json["torch_dtype"] = "float32";  // version 4
  json["dtype"] = "float32";
  return json;
}

Json generation_config_json(const ModelFacts& facts) {
  Json json = {{"_from_model_config", true},
               {"eos_token_id", or_null(facts.eos)},
               // Without one, `generate` takes the end token and says so in a warning.
               {"pad_token_id", or_null(facts.pad ? facts.pad : facts.eos)}};
  if (facts.bos) json["bos_token_id"] = *facts.bos;
  if (facts.decoder_start) json["decoder_start_token_id"] = *facts.decoder_start;
  return json;
}

}  // namespace sluice::interop
