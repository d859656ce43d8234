// `model: {type: decoder}`: a decoder-only pre-norm Transformer.
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
#include "nn/position.h"

namespace sluice::model {

struct DecoderConfig {
  static constexpr std::string_view kind = "decoder";
  config::Auto<std::int64_t> vocab_size;
  std::int64_t num_layers = 4;
  std::int64_t d_model = 192;
  std::int64_t num_heads = 3;
  config::Auto<std::int64_t> num_kv_heads;
  config::Auto<std::int64_t> head_dim;
  nn::FfnName ffn{"swiglu"};
  config::WordOr<"match", std::int64_t> d_ff;
  config::Auto<std::int64_t> d_ff_reference;
  std::int64_t d_ff_multiple = 1;
  nn::NormConfig norm;
  nn::PositionConfig position;
  bool bias = false;
  bool tie_embeddings = true;
  double dropout = 0.0;
  nn::InitConfig init;
  std::int64_t pad_vocab_multiple = 64;

  static constexpr auto fields() {
    using config::field;
    using C = DecoderConfig;
    return std::tuple_cat(
        std::tuple{
            field<&C::vocab_size>("Vocabulary size without padding; `auto`: that of the tokenizer. "
                                  "A number must match the tokenizer.",
                                  config::Between{1, kMaxVocabulary}),
            field<&C::num_layers>("Transformer blocks.", config::Between{1, kMaxLayers}),
            field<&C::d_model>("Width of the residual stream.", config::Between{1, kMaxWidth}),
            field<&C::num_heads>("Query heads.", config::Between{1, kMaxHeads}),
            field<&C::num_kv_heads>("Key and value heads, a divisor of num_heads (grouped-query "
                                    "attention); `auto`: num_heads.",
                                    config::Between{1, kMaxHeads})},
        width_fields<C>(),
        std::tuple{
            field<&C::norm>("Normalization before attention, feed-forward layer and head."),
            field<&C::position>("Position encoding."),
            field<&C::bias>("Bias vectors in every linear layer and in layernorm."),
            field<&C::tie_embeddings>("Use the embedding matrix as the head."),
            field<&C::dropout>("Probability of dropping an element of the embedding output and of "
                               "each sublayer's output.",
                               config::Between{0, 0.99}),
            field<&C::init>(
                "Initial values; random numbers depend on run.seed and parameter name."),
            field<&C::pad_vocab_multiple>("Rounds up the number of stored embedding rows; the "
                                          "extra rows are not used.",
                                          config::Between{1, kMaxWidth})});
  }
  static void check(const DecoderConfig& c, config::Problems& problems);

  std::int64_t resolved_kv_heads() const { return num_kv_heads.value_or(num_heads); }
  std::int64_t resolved_head_dim() const { return head_dim.value_or(d_model / num_heads); }
  // The mismatch is relative to d_ff_reference, even if d_ff is a number.
  nn::WidthMatch resolved_d_ff() const;
};

// See Architecture.
bool shares_positions(const DecoderConfig& config);
std::optional<LengthLimit> length_limit(const DecoderConfig& config);
void resolve(DecoderConfig& config, const DecoderConfig* stored, const Facts& facts);
std::int64_t vocabulary_rows(const DecoderConfig& config, std::int64_t vocab_size);
std::string expected_vocabulary(const DecoderConfig& config, std::int64_t rows);
FlopTerms flop_terms(const DecoderConfig& config, std::int64_t rows, const Sequences& sequences);
std::string flops_text(const DecoderConfig& config);
ActivationMemory activation_memory(const DecoderConfig& config, const Sequences& sequences,
                                   std::uint64_t element_bytes);
std::vector<StackSizes> stacks_of(const DecoderConfig& config, const Sequences& sequences);
std::unique_ptr<LanguageModel> make(const DecoderConfig& config, std::int64_t rows,
                                    const Sequences& sequences);

}  // namespace sluice::model
