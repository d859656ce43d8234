// Section `model`.
#pragma once

#include <variant>

#include "model/decoder_config.h"

namespace sluice::model {

using ModelConfig = std::variant<DecoderConfig>;

}  // namespace sluice::model
