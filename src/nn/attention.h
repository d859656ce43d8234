// Causal self-attention (Vaswani et al. 2017, section 3.2) with grouped queries (Ainslie et al. 2023).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "nn/init.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::nn {

// Logical names PREFIX.{q,k,v,o}.{weight,bias}; q, k and v share a slot, so that one product makes all three.
class Attention {
 public:
  Attention(ops::Parameters& parameters, const std::string& prefix, const ops::AttentionShape& shape, std::int64_t d_model, bool bias,
            const InitRule& init);
  // x [B, T, d_model] in the compute dtype -> [B, T, d_model].
  at::Tensor forward(const at::Tensor& x_BTD, const ops::Rotary& rotary, const ops::Context& context) const;

 private:
  ops::AttentionShape shape_;
  const ops::Weight *qkv_, *o_, *qkv_bias_ = nullptr, *o_bias_ = nullptr;
};

}  // namespace sluice::nn
