// Layouts of other programs: how Hugging Face `transformers` names and stores the weights of the
// models that Sluice trains. Export and import read the same tables.
//
//   llama   LlamaForCausalLM             rope, rmsnorm, gated feed-forward layer
//   arcee   ArceeForCausalLM             rope, rmsnorm, feed-forward layer with two matrices
//   gpt2    GPT2LMHeadModel              learned positions, layernorm, biases, two matrices
//   t5      T5ForConditionalGeneration   the encoder-decoder
//
// Source: modeling_{llama,arcee,gpt2,t5}.py of transformers 4.57.6 and 5.24.0. Rotary positions
// need no conversion: Sluice and transformers both rotate the two halves of a head.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"
#include "ops/parameters.h"

namespace sluice::interop {

// One tensor of the other program: ours, stacked by rows, then transposed.
struct LayoutRow {
  std::string_view theirs;                 // `#`: number of the block
  std::array<std::string_view, 3> ours{};  // logical names
  bool transposed = false;
  // models with this kind of feed-forward layer only
  enum class For { kAll, kGated, kUngated } models = For::kAll;
};

// The name of an activation function for a feed-forward variant.
struct ActivationName {
  std::string_view ffn, name;
};

struct Layout {
  std::string_view model_type, class_name;  // as in config.json
  std::string_view activation_key;          // the key of config.json with the ActivationName
  std::span<const LayoutRow> rows;
  std::span<const ActivationName> activations;
  // Prefix of all names but that of the head; missing in files of the class without a head.
  std::string_view prefix;

  std::string_view activation_of(std::string_view ffn) const;  // InvariantError if there is none
  // The variant of an activation's name; empty if there is none.
  std::string_view ffn_of(std::string_view activation) const;
};

std::span<const Layout> layouts();
// Null if there is none.
const Layout* find_layout(std::string_view model_type);
// The layout that computes the same function as the model. kUsage names the first field that no
// layout can express.
const Layout& layout_of(const model::ModelConfig& config);

// A row of the layout for the parameters of one model.
struct TensorRule {
  std::string theirs;
  std::vector<std::string> ours;    // logical names
  std::vector<std::int64_t> shape;  // of theirs
  bool transposed = false;
};
// Covers each parameter once (InvariantError otherwise).
std::vector<TensorRule> tensor_rules(const Layout& layout, const ops::Parameters& parameters);

}  // namespace sluice::interop
