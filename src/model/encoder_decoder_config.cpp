#include "model/encoder_decoder_config.h"

#include <algorithm>

#include "base/text_format.h"
#include "config/decide.h"
#include "model/config_checks.h"

namespace sluice::model {

void EncoderDecoderConfig::check(const EncoderDecoderConfig& c, config::Problems& problems) {
  check_heads_divide(c, problems);
  check_width(c, problems, heads_divide<EncoderDecoderConfig>);
}

nn::WidthMatch EncoderDecoderConfig::resolved_d_ff() const {
  return width_of(*this, /*bias=*/false);
}

bool shares_positions(const EncoderDecoderConfig&) { return false; }

std::optional<LengthLimit> length_limit(const EncoderDecoderConfig&) { return std::nullopt; }

void resolve(EncoderDecoderConfig& c, const EncoderDecoderConfig* stored, const Facts& facts) {
  config::decide(c.num_decoder_layers,
                 config::member_of(stored, &EncoderDecoderConfig::num_decoder_layers),
                 [&] { return c.num_layers; });
  resolve_sizes(c, stored, facts);
}

std::int64_t vocabulary_rows(const EncoderDecoderConfig& c, std::int64_t vocab_size) {
  return (vocab_size + c.pad_vocab_multiple - 1) / c.pad_vocab_multiple * c.pad_vocab_multiple;
}

std::string expected_vocabulary(const EncoderDecoderConfig& c, std::int64_t rows) {
  return cat(rows, " (tokenizer pieces and sentinels, rounded up to a multiple of ",
             c.pad_vocab_multiple, ") or auto");
}

FlopTerms flop_terms(const EncoderDecoderConfig& c, std::int64_t rows, const Sequences& sequences) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  const double S = real(sequences.inputs), T = real(sequences.targets),
               width = real(c.num_heads * c.resolved_head_dim());
  const double scores =
      real(c.num_layers) * S * S + real(c.resolved_decoder_layers()) * (T * T + T * S);
  return {.head = 6.0 * real(rows) * real(c.d_model),
          .attention = 12.0 * width * scores / T,
          .inputs_per_target = S / T,
          .reads_inputs = [](std::string_view name) {
            return name.starts_with("encoder.") || name.ends_with(".cross.k.weight") ||
                   name.ends_with(".cross.v.weight");
          }};
}

std::string flops_text(const EncoderDecoderConfig&) {
  return "(6 * (elements of the matrices applied to the inputs: encoder, k and v of "
         "cross-attention) * inputs + 6 * (elements of the other matrices, including the head) * "
         "targets + 12 * num_heads * head_dim * (num_layers * inputs^2 + num_decoder_layers * "
         "targets * (targets + inputs))) / targets, per target token";
}

ActivationMemory activation_memory(const EncoderDecoderConfig& c, const Sequences& sequences,
                                   std::uint64_t element_bytes) {
  const KeptBytes kept = kept_bytes(c, c.num_heads, element_bytes);
  const auto count = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  const std::uint64_t decoder_layers = count(c.resolved_decoder_layers());
  const std::uint64_t per_input = count(c.num_layers) * (kept.self_attention() + kept.ffn()) +
                                  decoder_layers * kept.cross_keys() +
                                  kept.embedding_and_final_norm();
  const std::uint64_t per_target =
      decoder_layers * (kept.self_attention() + kept.cross_attention() + kept.ffn()) +
      kept.embedding_and_final_norm();
  return {count(sequences.inputs) * per_input + count(sequences.targets) * per_target,
          count(std::max(sequences.inputs, sequences.targets)) * kept.temporary()};
}

std::vector<StackSizes> stacks_of(const EncoderDecoderConfig& c, const Sequences& sequences) {
  const StackSizes encoder{.num_layers = c.num_layers,
                           .length = sequences.inputs,
                           .d_model = c.d_model,
                           .num_heads = c.num_heads,
                           .num_kv_heads = c.num_heads,
                           .head_dim = c.resolved_head_dim(),
                           .d_ff = c.resolved_d_ff().d_ff,
                           .gated = c.ffn->gated,
                           .has_relative_bias = true,
                           .has_dropout = c.dropout > 0,
                           .has_inner_dropout = c.dropout > 0,
                           .fp32_output = true};
  StackSizes decoder = encoder;
  decoder.num_layers = c.resolved_decoder_layers();
  decoder.length = sequences.targets;
  decoder.cross_length = sequences.inputs;
  decoder.scales_output = c.tie_embeddings;
  return {encoder, decoder};
}

}  // namespace sluice::model
