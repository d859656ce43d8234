#include "model/language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/text_format.h"
#include "config/field.h"
#include "model/model_config.h"
#include "ops/cuda.h"

namespace sluice::model {
namespace {

// The part that a parameter belongs to, by logical name.
std::string_view part_of(std::string_view name) {
  if (name.starts_with("embedding.") || name.starts_with("position.")) return "embedding";
  if (name.starts_with("head.")) return "head";
  if (name.find("norm.") != std::string_view::npos) return "norm";
  return name.find(".ffn.") != std::string_view::npos ? "ffn" : "attention";
}

bool is_position(std::string_view name) { return name.ends_with("position.weight"); }

// Validates configurations that were not read from YAML.
class ThrowingProblems final : public config::Problems {
 public:
  void add(std::string_view field, std::string_view received, std::string_view expected) override {
    fail(ExitCode::kUsage, cat("model.", field), received, expected);
  }
};

std::vector<Part> count_parts(const LanguageModel& model, const FlopTerms& flops) {
  std::vector<Part> parts;
  for (const char* name : {"embedding", "attention", "ffn", "norm", "head"})
    parts.push_back({.name = name});
  for (const ops::ParameterSpec* spec : model.parameters().specs()) {
    Part& part = *std::find_if(parts.begin(), parts.end(),
                               [&](const Part& p) { return p.name == part_of(spec->name); });
    part.num_parameters += spec->num_elements();
    const bool product = spec->shape.size() == 2 && part.name != "embedding" &&
                         part.name != "head" && !is_position(spec->name);
    if (!product) continue;
    const double rows = flops.reads_inputs != nullptr && flops.reads_inputs(spec->name)
                            ? flops.inputs_per_target
                            : 1.0;
    part.flops_per_token += 6.0 * static_cast<double>(spec->num_elements()) * rows;
  }
  return parts;
}

ModelSizes sizes_of(const LanguageModel& model, const FlopTerms& flops,
                    const nn::WidthMatch& width) {
  ModelSizes sizes{.parts = count_parts(model, flops)};
  for (Part& part : sizes.parts) {
    if (part.name == "head") part.flops_per_token = flops.head;
    if (part.name == "attention") part.flops_per_token += flops.attention;
    sizes.num_parameters += part.num_parameters;
    if (part.name != "embedding" && part.name != "head")
      sizes.num_non_embedding_parameters += part.num_parameters;
    sizes.flops_per_token += part.flops_per_token;
  }
  sizes.d_ff = width.d_ff;
  sizes.d_ff_mismatch = width.mismatch;
  return sizes;
}

}  // namespace

at::Tensor LanguageModel::encode(const at::Tensor&, const ops::Context&) const {
  invariant(false, "only an encoder-decoder encodes");
  return {};
}

std::unique_ptr<Decoding> LanguageModel::make_decoding(std::int64_t num_sequences,
                                                       std::int64_t) const {
  return make_recomputed_decoding(*this, num_sequences,
                                  ops::inference_context(parameters_.master().device()));
}

std::string_view kind_of(const ModelConfig& config) {
  return std::visit([](const auto& c) { return std::remove_cvref_t<decltype(c)>::kind; }, config);
}

bool shares_positions(const ModelConfig& config) {
  return std::visit([](const auto& c) { return shares_positions(c); }, config);
}

std::optional<LengthLimit> length_limit(const ModelConfig& config) {
  return std::visit([](const auto& c) { return length_limit(c); }, config);
}

void resolve(ModelConfig& config, const ModelConfig* stored, const Facts& facts) {
  std::visit(
      [&](auto& c) {
        using C = std::remove_cvref_t<decltype(c)>;
        resolve(c, stored != nullptr ? std::get_if<C>(stored) : nullptr, facts);
      },
      config);
}

ActivationMemory activation_memory(const ModelConfig& config, const Sequences& sequences,
                                   std::uint64_t element_bytes) {
  return std::visit([&](const auto& c) { return activation_memory(c, sequences, element_bytes); },
                    config);
}

std::unique_ptr<LanguageModel> make_model(const ModelConfig& config, std::int64_t vocab_size,
                                          const Sequences& sequences) {
  return std::visit(
      [&](const auto& c) {
        ThrowingProblems problems;
        std::remove_cvref_t<decltype(c)>::check(c, problems);
        const std::int64_t rows = vocabulary_rows(c, vocab_size);
        if (c.vocab_size.value_or(rows) != rows)
          fail(ExitCode::kUsage, "model.vocab_size", cat(*c.vocab_size),
               expected_vocabulary(c, rows));
        if (const auto limit = length_limit(c); limit && limit->length < sequences.inputs)
          fail(ExitCode::kUsage, cat("model.", limit->field), cat(limit->length),
               cat("at least ", sequences.inputs, " (train.sequence_length)"));
        return make(c, rows, sequences);
      },
      config);
}

ModelSizes model_sizes(const ModelConfig& config, std::int64_t vocab_size,
                       const Sequences& sequences) {
  const auto model = make_model(config, vocab_size, sequences);
  return std::visit(
      [&](const auto& c) {
        return sizes_of(*model, flop_terms(c, vocabulary_rows(c, vocab_size), sequences),
                        c.resolved_d_ff());
      },
      config);
}

std::string flops_formula(const ModelConfig& config) {
  constexpr std::string_view kConvention =
      ": forward and backward, a multiply-add counts as two, causal masking is not deducted "
      "(Chowdhery et al. 2022, PaLM, appendix B)";
  return std::visit([&](const auto& c) { return cat(flops_text(c), kConvention); }, config);
}

}  // namespace sluice::model
