#include "interop/layout.h"

#include <algorithm>
#include <map>
#include <optional>
#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "interop/layout_tables.h"

namespace sluice::interop {
namespace {

using model::DecoderConfig;
using model::EncoderDecoderConfig;

constexpr Layout kLayouts[] = {
    {.model_type = "llama",
     .class_name = "LlamaForCausalLM",
     .activation_key = "hidden_act",
     .rows = kLlamaRows,
     .activations = kLlamaActivations,
     .prefix = "model."},
    {.model_type = "arcee",
     .class_name = "ArceeForCausalLM",
     .activation_key = "hidden_act",
     .rows = kLlamaRows,
     .activations = kArceeActivations,
     .prefix = "model."},
    {.model_type = "gpt2",
     .class_name = "GPT2LMHeadModel",
     .activation_key = "activation_function",
     .rows = kGpt2Rows,
     .activations = kGpt2Activations,
     .prefix = "transformer."},
    {.model_type = "t5",
     .class_name = "T5ForConditionalGeneration",
     .activation_key = "feed_forward_proj",
     .rows = kT5Rows,
     .activations = kT5Activations,
     .prefix = ""},
};

[[noreturn]] void refuse(std::string_view field, std::string_view received,
                         std::string_view expected) {
  fail(ExitCode::kUsage, cat("model.", field), received, expected);
}

// Llama and Arcee.
const Layout& rope_layout(const DecoderConfig& c) {
  const Layout& layout = *find_layout(c.ffn->gated ? "llama" : "arcee");
  const std::string with = cat(" (", layout.class_name, ", for position.type rope)");
  if (c.norm.type != nn::NormType::kRmsNorm) refuse("norm.type", "layernorm", "rmsnorm" + with);
  // transformers 5 requires it even if head_dim is given.
  if (c.d_model % c.num_heads != 0)
    refuse("num_heads", cat(c.num_heads), cat("a divisor of d_model ", c.d_model, with));
  return layout;
}

const Layout& learned_layout(const DecoderConfig& c) {
  const std::string with = " (GPT2LMHeadModel, for position.type learned)";
  if (c.norm.type != nn::NormType::kLayerNorm) refuse("norm.type", "rmsnorm", "layernorm" + with);
  if (!c.bias) refuse("bias", "false", "true" + with);
  if (c.ffn->gated) refuse("ffn", c.ffn->name, "a variant without a gate" + with);
  if (c.resolved_kv_heads() != c.num_heads)
    refuse("num_kv_heads", cat(c.resolved_kv_heads()), cat("num_heads ", c.num_heads, with));
  if (c.resolved_head_dim() * c.num_heads != c.d_model)
    refuse("head_dim", cat(c.resolved_head_dim()), cat("d_model / num_heads", with));
  return *find_layout("gpt2");
}

const Layout& layout_for(const DecoderConfig& c) {
  if (std::holds_alternative<nn::RopeConfig>(c.position)) return rope_layout(c);
  if (std::holds_alternative<nn::LearnedConfig>(c.position)) return learned_layout(c);
  refuse("position.type",
         std::holds_alternative<nn::SinusoidalConfig>(c.position) ? "sinusoidal" : "none",
         "rope or learned, which transformers has");
}

const Layout& layout_for(const EncoderDecoderConfig& c) {
  if (c.norm.type != nn::NormType::kRmsNorm)
    refuse("norm.type", "layernorm", "rmsnorm (T5ForConditionalGeneration)");
  return *find_layout("t5");
}

// The name with the number of the block in place of `#`.
std::string numbered(std::string_view name, std::int64_t block) {
  const std::size_t at = name.find('#');
  return at == std::string_view::npos ? std::string(name)
                                      : cat(name.substr(0, at), block, name.substr(at + 1));
}

using Specs = std::map<std::string, const ops::ParameterSpec*, std::less<>>;

// Removes the parameters of the row from `left`; none if the model lacks them.
std::optional<TensorRule> take(const LayoutRow& row, std::int64_t block, Specs& left) {
  TensorRule rule{.theirs = numbered(row.theirs, block), .transposed = row.transposed};
  for (const std::string_view name : row.ours) {
    if (name.empty()) break;
    const auto found = left.find(numbered(name, block));
    if (found == left.end()) {
      invariant(rule.ours.empty(), cat("the model has all parameters of ", rule.theirs));
      return std::nullopt;
    }
    const std::vector<std::int64_t>& shape = found->second->shape;
    if (rule.ours.empty()) {
      rule.shape = shape;
    } else {
      rule.shape[0] += shape[0];
    }
    rule.ours.push_back(found->first);
    left.erase(found);
  }
  if (rule.transposed) std::reverse(rule.shape.begin(), rule.shape.end());
  return rule;
}

}  // namespace

std::string_view Layout::activation_of(std::string_view ffn) const {
  const auto found =
      std::find_if(activations.begin(), activations.end(),
                   [&](const ActivationName& activation) { return activation.ffn == ffn; });
  invariant(found != activations.end(), cat(model_type, " has an activation for ", ffn));
  return found->name;
}

std::string_view Layout::ffn_of(std::string_view activation) const {
  const auto found =
      std::find_if(activations.begin(), activations.end(),
                   [&](const ActivationName& known) { return known.name == activation; });
  return found == activations.end() ? std::string_view() : found->ffn;
}

std::span<const Layout> layouts() { return kLayouts; }

const Layout* find_layout(std::string_view model_type) {
  const auto* found = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                   [&](const Layout& l) { return l.model_type == model_type; });
  return found == std::end(kLayouts) ? nullptr : found;
}

const Layout& layout_of(const model::ModelConfig& config) {
  const auto selected = [](const auto& c) -> const Layout& {
    const Layout& layout = layout_for(c);
    const bool is_known =
        std::any_of(layout.activations.begin(), layout.activations.end(),
                    [&](const ActivationName& known) { return known.ffn == c.ffn->name; });
    if (!is_known)
      refuse("ffn", c.ffn->name, cat("a variant whose activation ", layout.class_name, " has"));
    return layout;
  };
  return std::visit(selected, config);
}

std::vector<TensorRule> tensor_rules(const Layout& layout, const ops::Parameters& parameters) {
  Specs left;
  bool gated = false;
  for (const ops::ParameterSpec* spec : parameters.specs()) {
    left.emplace(spec->name, spec);
    gated = gated || spec->name.ends_with("ffn.v.weight");
  }
  std::vector<TensorRule> rules;
  for (const LayoutRow& row : layout.rows) {
    if (row.models == (gated ? LayoutRow::For::kUngated : LayoutRow::For::kGated)) continue;
    const bool repeats = row.theirs.find('#') != std::string_view::npos;
    for (std::int64_t block = 0;; ++block) {
      std::optional<TensorRule> rule = take(row, block, left);
      if (!rule) break;
      rules.push_back(*std::move(rule));
      if (!repeats) break;
    }
  }
  invariant(left.empty(), cat("the layout ", layout.model_type, " covers ",
                              left.empty() ? "" : left.begin()->first));
  return rules;
}

}  // namespace sluice::interop
