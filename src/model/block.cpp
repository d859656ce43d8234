#include "model/block.h"

#include <ATen/TensorOperators.h>

#include "ops/dropout.h"

namespace sluice::model {
namespace {

nn::AttentionConfig self_attention(const BlockConfig& c, const std::string& name) {
  return {.shape = c.attention,
          .d_model = c.d_model,
          .bias = c.bias,
          .rule = {.causal = c.causal,
                   .divisor = c.divisor,
                   .dropout = {c.inner_dropout, ops::dropout_site(name + ".probabilities")}}};
}

nn::AttentionConfig cross_attention(const BlockConfig& c, const std::string& name) {
  return {.shape = c.attention,
          .d_model = c.d_model,
          .bias = c.bias,
          .cross = true,
          .rule = {.divisor = c.divisor,
                   .dropout = {c.inner_dropout, ops::dropout_site(name + ".probabilities")}}};
}

}  // namespace

Block::Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config,
             const nn::InitRule& init)
    : attention_norm_(parameters, prefix + ".attention_norm", config.norm, config.d_model,
                      config.bias),
      attention_(parameters, prefix + ".attention", self_attention(config, prefix + ".attention"),
                 init),
      cross_(config.cross ? std::optional<Cross>(
                                {nn::Norm(parameters, prefix + ".cross_norm", config.norm,
                                          config.d_model, config.bias),
                                 nn::Attention(parameters, prefix + ".cross",
                                               cross_attention(config, prefix + ".cross"), init)})
                          : std::nullopt),
      ffn_norm_(parameters, prefix + ".ffn_norm", config.norm, config.d_model, config.bias),
      ffn_(parameters, prefix + ".ffn", *config.ffn,
           {.d_model = config.d_model, .d_ff = config.d_ff, .bias = config.bias}, init),
      attention_dropout_{config.dropout, ops::dropout_site(prefix + ".attention")},
      cross_dropout_{config.dropout, ops::dropout_site(prefix + ".cross")},
      ffn_dropout_{config.dropout, ops::dropout_site(prefix + ".ffn")},
      hidden_dropout_{config.inner_dropout, ops::dropout_site(prefix + ".ffn.hidden")} {}

at::Tensor Block::forward(at::Tensor x_BTD, const nn::AttentionSources& sources,
                          at::ScalarType compute, const ops::Context& context) const {
  const nn::AttentionSources self{.rotary = sources.rotary, .bias_HR = sources.bias_HR};
  const at::Tensor attended_BTD =
      attention_.forward(attention_norm_.forward(x_BTD, compute, context), self, context);
  x_BTD = x_BTD + ops::dropout(attended_BTD, attention_dropout_, context);
  if (cross_) {
    const nn::AttentionSources other{.encoded_BSD = sources.encoded_BSD};
    const at::Tensor crossed_BTD =
        cross_->attention.forward(cross_->norm.forward(x_BTD, compute, context), other, context);
    x_BTD = x_BTD + ops::dropout(crossed_BTD, cross_dropout_, context);
  }
  const at::Tensor fed_BTD =
      ffn_.forward(ffn_norm_.forward(x_BTD, compute, context), hidden_dropout_, context);
  return x_BTD + ops::dropout(fed_BTD, ffn_dropout_, context);
}

}  // namespace sluice::model
