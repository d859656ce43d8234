// Multi-head self-attention or cross-attention (Vaswani et al. 2017, section 3.2) with grouped
// queries (Ainslie et al. 2023).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "nn/init.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::nn {

struct AttentionConfig {
  ops::AttentionShape shape;
  std::int64_t d_model = 0;
  bool bias = false;
  bool cross = false;  // keys and values come from another sequence
  ops::AttentionRule rule;
};

// Inputs of attention in addition to x.
struct AttentionSources {
  ops::Rotary rotary = {};
  at::Tensor bias_HR = {};      // score bias, see ops/attention.h
  at::Tensor encoded_BSD = {};  // cross-attention only: [B, S, d_model] in the compute dtype
};

// Logical names PREFIX.{q,k,v,o}.{weight,bias}. q, k and v share a slot, so that one matrix product
// computes all three; in cross-attention, only k and v do.
class Attention {
 public:
  Attention(ops::Parameters& parameters, const std::string& prefix, const AttentionConfig& config,
            const InitRule& init);
  // x [B, T, d_model] in the compute dtype -> [B, T, d_model].
  at::Tensor forward(const at::Tensor& x_BTD, const AttentionSources& sources,
                     const ops::Context& context) const;

 private:
  AttentionConfig config_;
  const ops::Weight *q_, *kv_ = nullptr, *o_;  // self-attention: q_ holds q, k and v
  const ops::Weight *q_bias_ = nullptr, *kv_bias_ = nullptr, *o_bias_ = nullptr;
};

}  // namespace sluice::nn
