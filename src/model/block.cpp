#include "model/block.h"

#include "ops/dropout.h"

namespace sluice::model {
namespace {
constexpr std::uint64_t kPlacesPerBlock = 4;  // room for cross-attention and one inside the feed-forward layer
}

Block::Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config, const nn::InitRule& init,
             std::int64_t index)
    : attention_norm_(parameters, prefix + ".attention_norm", config.norm, config.d_model, config.bias),
      attention_(parameters, prefix + ".attention", config.attention, config.d_model, config.bias, init),
      ffn_norm_(parameters, prefix + ".ffn_norm", config.norm, config.d_model, config.bias),
      ffn_(parameters, prefix + ".ffn", *config.ffn, {.d_model = config.d_model, .d_ff = config.d_ff, .bias = config.bias}, init),
      dropout_(config.dropout),
      first_place_(1 + kPlacesPerBlock * static_cast<std::uint64_t>(index)) {}

at::Tensor Block::forward(at::Tensor x_BTD, const ops::Rotary& rotary, at::ScalarType compute, const ops::Context& context) const {
  const at::Tensor attended_BTD = attention_.forward(attention_norm_.forward(x_BTD, compute, context), rotary, context);
  x_BTD = x_BTD + ops::dropout(attended_BTD, dropout_, first_place_, context);
  const at::Tensor fed_BTD = ffn_.forward(ffn_norm_.forward(x_BTD, compute, context), context);
  return x_BTD + ops::dropout(fed_BTD, dropout_, first_place_ + 1, context);
}

}  // namespace sluice::model
