#include "model/encoder_decoder_config.h"

#include "model/config_checks.h"

namespace sluice::model {

void EncoderDecoderConfig::check(const EncoderDecoderConfig& c, config::Problems& problems) {
  check_heads_divide(c, problems);
  check_width(c, problems, heads_divide<EncoderDecoderConfig>);
}

std::int64_t EncoderDecoderConfig::padded_vocabulary(std::int64_t used) const {
  return (used + pad_vocab_multiple - 1) / pad_vocab_multiple * pad_vocab_multiple;
}

nn::WidthMatch EncoderDecoderConfig::resolved_d_ff() const { return width_of(*this, /*bias=*/false); }

}  // namespace sluice::model
