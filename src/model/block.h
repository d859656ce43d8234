// A pre-norm Transformer block: x + attention(norm(x)); where it has one, x + cross-attention(norm(x)); then x + ffn(norm(x)).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "nn/attention.h"
#include "nn/ffn.h"
#include "nn/norm.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::model {

struct BlockConfig {
  std::int64_t d_model = 0;
  ops::AttentionShape attention;
  double divisor = 1;  // of attention's scores
  bool causal = true;  // the self-attention
  bool cross = false;  // there is a cross-attention
  const nn::FfnVariant* ffn = nullptr;
  std::int64_t d_ff = 0;
  nn::NormConfig norm;
  bool bias = false;
  double dropout = 0;        // of each sublayer's output
  double inner_dropout = 0;  // of attention probabilities and of the feed-forward layer's hidden layer
};

class Block {
 public:
  // Logical names PREFIX.{attention_norm,attention,cross_norm,cross,ffn_norm,ffn}. Places of dropout: the outputs PREFIX.{attention,cross,ffn},
  // and inside PREFIX.{attention.probabilities,cross.probabilities,ffn.hidden}.
  Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config, const nn::InitRule& init);
  // The residual stream x, fp32 [B, T, d_model], through the block; sublayers compute in dtype `compute`. `sources`: what the
  // self-attention reads; its encoded sequence goes to the cross-attention.
  at::Tensor forward(at::Tensor x_BTD, const nn::AttentionSources& sources, at::ScalarType compute, const ops::Context& context) const;

 private:
  struct Cross {
    nn::Norm norm;
    nn::Attention attention;
  };
  nn::Norm attention_norm_;
  nn::Attention attention_;
  std::optional<Cross> cross_;
  nn::Norm ffn_norm_;
  nn::Ffn ffn_;
  ops::Dropout attention_dropout_, cross_dropout_, ffn_dropout_, hidden_dropout_;
};

}  // namespace sluice::model
