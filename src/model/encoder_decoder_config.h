// `model: {type: encoder_decoder}`: T5 as of February 2020 (Raffel et al. 2020; Shazeer 2020, "GLU Variants Improve Transformer").
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
        std::tuple{field<&C::vocab_size>(
                       "Rows of the embedding, padding included; `auto`: the tokenizer's pieces and the sentinels, rounded up to a "
                       "multiple of pad_vocab_multiple. Where given, it must agree with that.",
                       config::Between{1, kMaxVocabulary}),
                   field<&C::num_layers>("Blocks of the encoder.", config::Between{1, kMaxLayers}),
                   field<&C::num_decoder_layers>("Blocks of the decoder; `auto`: num_layers.", config::Between{1, kMaxLayers}),
                   field<&C::d_model>("Width of the residual stream.", config::Between{1, kMaxWidth}),
                   field<&C::num_heads>("Heads of each attention.", config::Between{1, kMaxHeads})},
        width_rows<C>(),
        std::tuple{
            field<&C::norm>("Normalisation before each sublayer and after each stack."), field<&C::position>("How positions enter."),
            field<&C::tie_embeddings>(
                "The head uses the embedding matrix, and its input is multiplied by d_model^-0.5. false: a matrix of its own "
                "and no factor, as in T5 1.1."),
            field<&C::dropout>("Probability of dropping an element of the embedding outputs, attention probabilities, hidden layers of the "
                               "feed-forward layers, sublayer outputs and final norms' outputs.",
                               config::Between{0, 0.99}),
            field<&C::init>("Initial values, drawn by (run.seed, parameter name)."),
            field<&C::pad_vocab_multiple>(
                "Embedding rows are rounded up to a multiple of this; the extra rows are part of the softmax, as in T5.",
                config::Between{1, kMaxWidth})});
  }
  static void check(const EncoderDecoderConfig& c, config::Problems& problems);

  std::int64_t resolved_decoder_layers() const { return num_decoder_layers.value_or(num_layers); }
  std::int64_t resolved_head_dim() const { return head_dim.value_or(d_model / num_heads); }
  nn::WidthMatch resolved_d_ff() const;  // its mismatch is that against d_ff_reference, also where d_ff is a number
};

// See Architecture. The rows of the vocabulary are padded: every row is part of the softmax.
bool shares_positions(const EncoderDecoderConfig& config);
std::optional<LengthLimit> length_limit(const EncoderDecoderConfig& config);
void resolve(EncoderDecoderConfig& config, const EncoderDecoderConfig* stored, const Facts& facts);
std::int64_t vocabulary_rows(const EncoderDecoderConfig& config, std::int64_t vocab_size);
std::string expected_vocabulary(const EncoderDecoderConfig& config, std::int64_t rows);
FlopsBesideMatrices flops_beside_matrices(const EncoderDecoderConfig& config, std::int64_t rows, const Sequences& sequences);
std::string flops_text(const EncoderDecoderConfig& config);
ActivationMemory activation_memory(const EncoderDecoderConfig& config, const Sequences& sequences, std::uint64_t element_bytes);
std::unique_ptr<LanguageModel> make(const EncoderDecoderConfig& config, std::int64_t rows, const Sequences& sequences);

}  // namespace sluice::model
