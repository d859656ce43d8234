// Multi-head self-attention or cross-attention (Vaswani et al. 2017, section 3.2) with grouped
// queries (Ainslie et al. 2023).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

#include "nn/init.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/key_values.h"
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

// One step of generation (ops/rows.h): row n is the token at positions[n] of a sequence and attends
// to the first num_keys[n] positions of cache[n], in self-attention after its own key and value are
// written there. The positions are not used in cross-attention.
struct AttentionStep {
  std::span<ops::KeyValues* const> cache;
  std::span<const std::int64_t> positions, num_keys;
  ops::Rotary rotary = {};
  at::Tensor bias_HR = {};  // see ops::Scoring
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

  // The same without dropout, for generation: x [N, d_model] -> y [N, d_model].
  struct StepBuffers {
    ops::RowBuffer projected, attended;
  };
  void step(const ops::Rows& x, const AttentionStep& step, StepBuffers& buffers,
            const ops::Rows& y) const;
  // Cross-attention: writes the keys and values of the encoded sequence.
  void read_encoded(const ops::Rows& encoded, StepBuffers& buffers, ops::KeyValues& cache) const;
  // Empty memory for one sequence.
  ops::KeyValues make_cache() const { return ops::KeyValues(config_.shape); }

 private:
  AttentionConfig config_;
  const ops::Weight *q_, *kv_ = nullptr, *o_;  // self-attention: q_ holds q, k and v
  const ops::Weight *q_bias_ = nullptr, *kv_bias_ = nullptr, *o_bias_ = nullptr;
};

}  // namespace sluice::nn
