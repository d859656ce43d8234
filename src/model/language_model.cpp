#include "model/language_model.h"

#include <algorithm>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "config/field.h"
#include "model/decoder.h"

namespace sluice::model {
namespace {

// The part a logical name belongs to.
std::string_view part_of(std::string_view name) {
  if (name.starts_with("embedding.") || name.starts_with("position.")) return "embedding";
  if (name.starts_with("head.")) return "head";
  if (name.find("norm.") != std::string_view::npos) return "norm";
  return name.find(".ffn.") != std::string_view::npos ? "ffn" : "attention";
}

// What a configuration that was not read from YAML is held to.
class Refusal final : public config::Problems {
 public:
  void add(std::string_view field, std::string_view received, std::string_view expected) override {
    fail(ExitCode::kUsage, cat("model.", field), received, expected);
  }
};

std::unique_ptr<LanguageModel> make(const DecoderConfig& config, std::int64_t vocab_size, std::int64_t sequence_length) {
  Refusal refusal;
  DecoderConfig::check(config, refusal);
  if (const auto* learned = std::get_if<nn::LearnedConfig>(&config.position)) {
    const bool short_table = !learned->max_length.is_word() && *learned->max_length < sequence_length;
    if (short_table)
      fail(ExitCode::kUsage, "model.position.max_length", cat(*learned->max_length),
           cat("at least train.sequence_length ", sequence_length));
  }
  return std::make_unique<Decoder>(config, vocab_size, sequence_length);
}

std::vector<Part> count_parts(const LanguageModel& model) {
  std::vector<Part> parts;
  for (const char* name : {"embedding", "attention", "ffn", "norm", "head"}) parts.push_back({.name = name});
  for (const ops::ParameterSpec* spec : model.parameters().specs()) {
    Part& part = *std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name == part_of(spec->name); });
    part.num_parameters += spec->num_elements();
    const bool product = spec->shape.size() == 2 && part.name != "embedding" && part.name != "head";
    if (product) part.flops_per_token += 6.0 * static_cast<double>(spec->num_elements());
  }
  return parts;
}

}  // namespace

std::unique_ptr<LanguageModel> make_model(const ModelConfig& config, std::int64_t vocab_size, std::int64_t sequence_length) {
  return std::visit(
      [&](const auto& c) {
        if (!c.vocab_size.is_word() && *c.vocab_size != vocab_size) {
          fail(ExitCode::kUsage, "model.vocab_size", cat(*c.vocab_size), cat("the tokenizer's ", vocab_size, ", or auto"));
        }
        return make(c, vocab_size, sequence_length);
      },
      config);
}

ModelSizes model_sizes(const ModelConfig& config, std::int64_t vocab_size, std::int64_t sequence_length) {
  const auto& c = std::get<DecoderConfig>(config);
  const auto model = make_model(config, vocab_size, sequence_length);
  ModelSizes sizes{.parts = count_parts(*model)};
  for (Part& part : sizes.parts) {
    if (part.name == "head") part.flops_per_token = 6.0 * static_cast<double>(vocab_size) * static_cast<double>(c.d_model);
    if (part.name == "attention") {
      part.flops_per_token +=
          12.0 * static_cast<double>(c.num_layers * c.num_heads * c.resolved_head_dim()) * static_cast<double>(sequence_length);
    }
    sizes.num_parameters += part.num_parameters;
    if (part.name != "embedding" && part.name != "head") sizes.num_non_embedding_parameters += part.num_parameters;
    sizes.flops_per_token += part.flops_per_token;
  }
  sizes.d_ff = c.resolved_d_ff().d_ff;
  sizes.d_ff_mismatch = c.resolved_d_ff().mismatch;
  return sizes;
}

std::string flops_formula() {
  return "6 * (elements of the matrices in attention, ffn and head) + 12 * num_layers * num_heads * head_dim * sequence_length: forward "
         "and "
         "backward, a multiply-add as two, no credit for the masked half of attention (Chowdhery et al. 2022, PaLM, appendix B)";
}

}  // namespace sluice::model
