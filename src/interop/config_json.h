// config.json of a Hugging Face model, in both directions.
//
// Source: configuration_{llama,arcee,gpt2,t5}.py of transformers 4.57.6 and 5.24.0.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "interop/layout.h"
#include "model/model_config.h"

namespace sluice::interop {

// What a model directory states beyond the section `model`.
struct ModelFacts {
  std::int64_t vocab_rows = 0;      // rows of the embedding, padding of a T5 included
  std::int64_t context_length = 0;  // positions of a decoder, inputs of an encoder-decoder
  std::int64_t num_sentinels = 0;   // encoder-decoder: ids after the tokenizer's pieces
  std::optional<std::int64_t> bos, eos, pad;  // bos: if not the end token
  std::optional<std::int64_t> decoder_start;  // encoder-decoder
};

// `config`: resolved. The keys are those that both versions of transformers read; where one reads
// another key (rope_theta and rope_parameters), both are written.
nlohmann::ordered_json config_json(const model::ModelConfig& config, const ModelFacts& facts);
// generation_config.json.
nlohmann::ordered_json generation_config_json(const ModelFacts& facts);

struct HuggingFaceConfig {
  const Layout* layout = nullptr;
  // Widths and heads are numbers; vocab_size is `auto`, because it follows from the tokenizer.
  model::ModelConfig model;
  ModelFacts facts;
  std::vector<std::int64_t> end_tokens;  // eos_token_id, a number or a list
};

// kBadData naming the key of `source`: not JSON, a value of the wrong type or out of range, a model
// type without a layout, or a value that Sluice cannot compute (rope_scaling, sliding_window, ...).
HuggingFaceConfig read_config_json(std::string_view text, const std::string& source);

}  // namespace sluice::interop
