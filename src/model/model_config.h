// Section `model`.
#pragma once

#include <variant>

#include "model/decoder_config.h"
#include "model/encoder_decoder_config.h"

namespace sluice::model {

using ModelConfig = std::variant<DecoderConfig, EncoderDecoderConfig>;
static_assert(Architecture<DecoderConfig> && Architecture<EncoderDecoderConfig>);

}  // namespace sluice::model
