// Section `model`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "model/decoder_config.h"
#include "model/encoder_decoder_config.h"

namespace sluice::model {

using ModelConfig = std::variant<DecoderConfig, EncoderDecoderConfig>;
// Checked for every alternative: a missing overload would select the one for the variant below,
// which would recurse infinitely.
template <class... Configs>
consteval bool are_architectures(const std::variant<Configs...>*) {
  return (Architecture<Configs> && ...);
}
static_assert(are_architectures(static_cast<const ModelConfig*>(nullptr)));

std::string_view kind_of(const ModelConfig& config);  // "decoder"
// See Architecture.
bool shares_positions(const ModelConfig& config);
std::optional<LengthLimit> length_limit(const ModelConfig& config);
// `stored`: null, or the section of the resumed run; ignored if its architecture differs.
void resolve(ModelConfig& config, const ModelConfig* stored, const Facts& facts);
ActivationMemory activation_memory(const ModelConfig& config, const Sequences& sequences,
                                   std::uint64_t element_bytes);

}  // namespace sluice::model
