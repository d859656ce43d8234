// A pre-norm Transformer block: x + attention(norm(x)), then x + ffn(norm(x)).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
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
  const nn::FfnVariant* ffn = nullptr;
  std::int64_t d_ff = 0;
  nn::NormConfig norm;
  bool bias = false;
  double dropout = 0;
};

class Block {
 public:
  // Logical names PREFIX.{attention_norm,attention,ffn_norm,ffn}. `index` numbers the block's dropout places.
  Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config, const nn::InitRule& init, std::int64_t index);
  // The residual stream x, fp32 [B, T, d_model], through the block; sublayers compute in dtype `compute`.
  at::Tensor forward(at::Tensor x_BTD, const ops::Rotary& rotary, at::ScalarType compute, const ops::Context& context) const;

 private:
  nn::Norm attention_norm_;
  nn::Attention attention_;
  nn::Norm ffn_norm_;
  nn::Ffn ffn_;
  double dropout_;
  std::uint64_t first_place_;
};

}  // namespace sluice::model
