// `model: {type: encoder_decoder}`: T5 as of February 2020 (Raffel et al. 2020; Shazeer 2020,
// "GLU Variants Improve Transformer").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "config/field.h"
#include "model/architecture.h"
#include "model/shared_rows.h"
#include "nn/ffn_variants.h"
#include "nn/init.h"
#include "nn/match_width.h"
#include "nn/norm.h"
#include "nn/t5_relative.h"

namespace sluice::model {

using EncoderDecoderPosition = std::variant<nn::T5RelativeConfig>;
using EncoderDecoderInit = std::variant<nn::T5InitConfig>;

struct EncoderDecoderConfig {
  static constexpr std::string_view kind = "encoder_decoder";
  config::Auto<std::int64_t> vocab_size;
  std::int64_t num_layers = 4;
  config::Auto<std::int64_t> num_decoder_layers;
  std::int64_t d_model = 192;
  std::int64_t num_heads = 3;
  config::Auto<std::int64_t> head_dim;
  nn::FfnName ffn{"swiglu"};
  config::WordOr<"match", std::int64_t> d_ff;
  config::Auto<std::int64_t> d_ff_reference;
  std::int64_t d_ff_multiple = 1;
  nn::NormConfig norm;
  EncoderDecoderPosition position;
  bool tie_embeddings = true;
  double dropout = 0.0;
  EncoderDecoderInit init;
  std::int64_t pad_vocab_multiple = 128;

  static constexpr auto fields() {
    using config::field;
    using C = EncoderDecoderConfig;
    return std::tuple_cat(
        std::tuple{
            field<&C::vocab_size>(
                "Rows of the embedding, including padding; `auto`: tokenizer pieces and sentinels, "
                "rounded up to a multiple of pad_vocab_multiple. A number must match this value.",
                config::Between{1, kMaxVocabulary}),
            field<&C::num_layers>("Blocks of the encoder.", config::Between{1, kMaxLayers}),
            field<&C::num_decoder_layers>("Blocks of the decoder; `auto`: num_layers.",
                                          config::Between{1, kMaxLayers}),
            field<&C::d_model>("Width of the residual stream.", config::Between{1, kMaxWidth}),
            field<&C::num_heads>("Heads of each attention.", config::Between{1, kMaxHeads})},
        width_fields<C>(),
        std::tuple{
            field<&C::norm>("Normalization before each sublayer and after each stack."),
            field<&C::position>("Position encoding."),
            field<&C::tie_embeddings>("Use the embedding matrix as the head and multiply its input "
                                      "by d_model^-0.5. false: a separate head matrix and no "
                                      "factor, as in T5 1.1."),
            field<&C::dropout>("Probability of dropping an element of embedding outputs, "
                               "attention probabilities, feed-forward hidden layers, sublayer "
                               "outputs and outputs of the final norms.",
                               config::Between{0, 0.99}),
            field<&C::init>(
                "Initial values; random numbers depend on run.seed and parameter name."),
            field<&C::pad_vocab_multiple>("Rounds up the number of embedding rows; the extra rows "
                                          "are part of the softmax, as in T5.",
                                          config::Between{1, kMaxWidth})});
  }
  static void check(const EncoderDecoderConfig& c, config::Problems& problems);

  std::int64_t resolved_decoder_layers() const { return num_decoder_layers.value_or(num_layers); }
  std::int64_t resolved_head_dim() const { return head_dim.value_or(d_model / num_heads); }
  // The mismatch is relative to d_ff_reference, even if d_ff is a number.
  nn::WidthMatch resolved_d_ff() const;
};

// See Architecture. vocabulary_rows() includes padding: every row is part of the softmax.
bool shares_positions(const EncoderDecoderConfig& config);
std::optional<LengthLimit> length_limit(const EncoderDecoderConfig& config);
void resolve(EncoderDecoderConfig& config, const EncoderDecoderConfig* stored, const Facts& facts);
std::int64_t vocabulary_rows(const EncoderDecoderConfig& config, std::int64_t vocab_size);
std::string expected_vocabulary(const EncoderDecoderConfig& config, std::int64_t rows);
FlopTerms flop_terms(const EncoderDecoderConfig& config, std::int64_t rows,
                     const Sequences& sequences);
std::string flops_text(const EncoderDecoderConfig& config);
ActivationMemory activation_memory(const EncoderDecoderConfig& config, const Sequences& sequences,
                                   std::uint64_t element_bytes);
std::vector<StackSizes> stacks_of(const EncoderDecoderConfig& config, const Sequences& sequences);
std::unique_ptr<LanguageModel> make(const EncoderDecoderConfig& config, std::int64_t rows,
                                    const Sequences& sequences);

}  // namespace sluice::model
