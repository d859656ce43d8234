#include "model/encoder_decoder_config.h"

#include "base/text_format.h"
#include "model/config_checks.h"

namespace sluice::model {

void EncoderDecoderConfig::check(const EncoderDecoderConfig& c, config::Problems& problems) {
  check_heads_divide(c, problems);
  check_width(c, problems, heads_divide<EncoderDecoderConfig>);
}

nn::WidthMatch EncoderDecoderConfig::resolved_d_ff() const { return width_of(*this, /*bias=*/false); }

std::int64_t vocabulary_rows(const EncoderDecoderConfig& c, std::int64_t vocab_size) {
  return (vocab_size + c.pad_vocab_multiple - 1) / c.pad_vocab_multiple * c.pad_vocab_multiple;
}

std::string expected_vocabulary(const EncoderDecoderConfig& c, std::int64_t rows) {
  return cat(rows, ", the tokenizer's pieces and the sentinels rounded up to a multiple of ", c.pad_vocab_multiple, ", or auto");
}

FlopsBesideMatrices flops_beside_matrices(const EncoderDecoderConfig& c, std::int64_t rows, const Sequences& sequences) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  const double S = real(sequences.inputs), T = real(sequences.targets), width = real(c.num_heads * c.resolved_head_dim());
  const double scores = real(c.num_layers) * S * S + real(c.resolved_decoder_layers()) * (T * T + T * S);
  return {.head = 6.0 * real(rows) * real(c.d_model),
          .attention = 12.0 * width * scores / T,
          .rows_of_inputs = S / T,
          .reads_inputs = [](std::string_view name) {
            return name.starts_with("encoder.") || name.ends_with(".cross.k.weight") || name.ends_with(".cross.v.weight");
          }};
}

std::string flops_text(const EncoderDecoderConfig&) {
  return "(6 * (elements of the matrices that read the inputs: encoder, cross-attention's k and v) * inputs + 6 * (of the others, head "
         "included) * targets + 12 * num_heads * head_dim * (num_layers * inputs^2 + num_decoder_layers * targets * (targets + inputs))) "
         "/ targets, per target token";
}

}  // namespace sluice::model
