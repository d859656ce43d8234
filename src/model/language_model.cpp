#include "model/language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "config/field.h"
#include "model/decoder.h"
#include "model/encoder_decoder.h"

namespace sluice::model {
namespace {

// The part a logical name belongs to.
std::string_view part_of(std::string_view name) {
  if (name.starts_with("embedding.") || name.starts_with("position.")) return "embedding";
  if (name.starts_with("head.")) return "head";
  if (name.find("norm.") != std::string_view::npos) return "norm";
  return name.find(".ffn.") != std::string_view::npos ? "ffn" : "attention";
}

bool is_position(std::string_view name) { return name.ends_with("position.weight"); }

// What a configuration that was not read from YAML is held to.
class Refusal final : public config::Problems {
 public:
  void add(std::string_view field, std::string_view received, std::string_view expected) override {
    fail(ExitCode::kUsage, cat("model.", field), received, expected);
  }
};

std::unique_ptr<LanguageModel> make(const DecoderConfig& config, std::int64_t vocab_size, const Sequences& sequences) {
  if (const auto* learned = std::get_if<nn::LearnedConfig>(&config.position)) {
    const bool short_table = !learned->max_length.is_word() && *learned->max_length < sequences.inputs;
    if (short_table)
      fail(ExitCode::kUsage, "model.position.max_length", cat(*learned->max_length),
           cat("at least train.sequence_length ", sequences.inputs));
  }
  return std::make_unique<Decoder>(config, vocab_size, sequences.inputs);
}

std::unique_ptr<LanguageModel> make(const EncoderDecoderConfig& config, std::int64_t vocab_size, const Sequences& sequences) {
  invariant(sequences.start_id.has_value(), "an encoder-decoder's sequences say what its decoder starts from");
  return std::make_unique<EncoderDecoder>(config, vocab_size, *sequences.start_id);
}

// Rows of the embedding that take part, which `vocab_size` stands for.
std::int64_t used_rows(const DecoderConfig&, std::int64_t vocab_size) { return vocab_size; }
std::int64_t used_rows(const EncoderDecoderConfig& config, std::int64_t vocab_size) { return config.padded_vocabulary(vocab_size); }

std::string expected_vocabulary(const DecoderConfig&, std::int64_t rows) { return cat("the tokenizer's ", rows, ", or auto"); }
std::string expected_vocabulary(const EncoderDecoderConfig& config, std::int64_t rows) {
  return cat(rows, ", the tokenizer's pieces and the sentinels rounded up to a multiple of ", config.pad_vocab_multiple, ", or auto");
}

using Rows = std::function<double(std::string_view name)>;  // rows that a matrix multiplies, per target token

std::vector<Part> count_parts(const LanguageModel& model, const Rows& rows_per_token) {
  std::vector<Part> parts;
  for (const char* name : {"embedding", "attention", "ffn", "norm", "head"}) parts.push_back({.name = name});
  for (const ops::ParameterSpec* spec : model.parameters().specs()) {
    Part& part = *std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name == part_of(spec->name); });
    part.num_parameters += spec->num_elements();
    const bool product = spec->shape.size() == 2 && part.name != "embedding" && part.name != "head" && !is_position(spec->name);
    if (product) part.flops_per_token += 6.0 * static_cast<double>(spec->num_elements()) * rows_per_token(spec->name);
  }
  return parts;
}

double real(std::int64_t n) { return static_cast<double>(n); }

// Adds what is not a stored matrix's own product: the head's and attention's scores and sums.
ModelSizes with_totals(std::vector<Part> parts, double head_flops, double attention_flops, const nn::WidthMatch& width) {
  ModelSizes sizes{.parts = std::move(parts)};
  for (Part& part : sizes.parts) {
    if (part.name == "head") part.flops_per_token = head_flops;
    if (part.name == "attention") part.flops_per_token += attention_flops;
    sizes.num_parameters += part.num_parameters;
    if (part.name != "embedding" && part.name != "head") sizes.num_non_embedding_parameters += part.num_parameters;
    sizes.flops_per_token += part.flops_per_token;
  }
  sizes.d_ff = width.d_ff;
  sizes.d_ff_mismatch = width.mismatch;
  return sizes;
}

ModelSizes sizes_of(const DecoderConfig& c, const LanguageModel& model, std::int64_t rows, const Sequences& sequences) {
  const double attention = 12.0 * real(c.num_layers * c.num_heads * c.resolved_head_dim()) * real(sequences.inputs);
  return with_totals(count_parts(model, [](std::string_view) { return 1.0; }), 6.0 * real(rows) * real(c.d_model), attention,
                     c.resolved_d_ff());
}

ModelSizes sizes_of(const EncoderDecoderConfig& c, const LanguageModel& model, std::int64_t rows, const Sequences& sequences) {
  const double S = real(sequences.inputs), T = real(sequences.targets), width = real(c.num_heads * c.resolved_head_dim());
  const auto rows_per_token = [&](std::string_view name) {
    const bool of_inputs = name.starts_with("encoder.") || name.ends_with(".cross.k.weight") || name.ends_with(".cross.v.weight");
    return of_inputs ? S / T : 1.0;
  };
  const double scores = real(c.num_layers) * S * S + real(c.resolved_decoder_layers()) * (T * T + T * S);
  return with_totals(count_parts(model, rows_per_token), 6.0 * real(rows) * real(c.d_model), 12.0 * width * scores / T, c.resolved_d_ff());
}

}  // namespace

at::Tensor LanguageModel::encode(const at::Tensor& inputs_BS, const ops::Context&) const { return inputs_BS; }

at::Tensor LanguageModel::logits_after(const at::Tensor& inputs_BS, const at::Tensor& generated_Bn, const ops::Context& context) const {
  return next_logits(at::cat({inputs_BS, generated_Bn}, 1), context);
}

std::unique_ptr<LanguageModel> make_model(const ModelConfig& config, std::int64_t vocab_size, const Sequences& sequences) {
  return std::visit(
      [&](const auto& c) {
        Refusal refusal;
        std::remove_cvref_t<decltype(c)>::check(c, refusal);
        const std::int64_t rows = used_rows(c, vocab_size);
        if (!c.vocab_size.is_word() && *c.vocab_size != rows)
          fail(ExitCode::kUsage, "model.vocab_size", cat(*c.vocab_size), expected_vocabulary(c, rows));
        return make(c, rows, sequences);
      },
      config);
}

ModelSizes model_sizes(const ModelConfig& config, std::int64_t vocab_size, const Sequences& sequences) {
  const auto model = make_model(config, vocab_size, sequences);
  return std::visit([&](const auto& c) { return sizes_of(c, *model, used_rows(c, vocab_size), sequences); }, config);
}

std::string flops_formula(const ModelConfig& config) {
  constexpr std::string_view kConvention =
      ": forward and backward, a multiply-add as two, no credit for the masked half of attention (Chowdhery et al. 2022, PaLM, appendix B)";
  if (std::holds_alternative<DecoderConfig>(config))
    return cat("6 * (elements of the matrices in attention, ffn and head) + 12 * num_layers * num_heads * head_dim * sequence_length",
               kConvention);
  return cat(
      "(6 * (elements of the matrices that read the inputs: encoder, cross-attention's k and v) * inputs + 6 * (of the others, head "
      "included) * targets + 12 * num_heads * head_dim * (num_layers * inputs^2 + num_decoder_layers * targets * (targets + inputs))) "
      "/ targets, per target token",
      kConvention);
}

}  // namespace sluice::model
