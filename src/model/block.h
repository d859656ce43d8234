// A pre-norm Transformer block: x + attention(norm(x)), optionally x + cross_attention(norm(x)),
// then x + ffn(norm(x)).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "nn/attention.h"
#include "nn/ffn.h"
#include "nn/norm.h"
#include "ops/context.h"
#include "ops/norm.h"
#include "ops/parameters.h"

namespace sluice::model {

struct BlockConfig {
  std::int64_t d_model = 0;
  ops::AttentionShape attention;
  double divisor = 1;  // of attention scores
  bool causal = true;  // self-attention
  bool cross = false;  // has cross-attention
  const nn::FfnVariant* ffn = nullptr;
  std::int64_t d_ff = 0;
  nn::NormConfig norm;
  bool bias = false;
  double dropout = 0;        // of each sublayer's output
  double inner_dropout = 0;  // of attention probabilities and feed-forward hidden layers
};

// What a block keeps of the tokens that one sequence has read.
struct BlockCache {
  ops::KeyValues self;
  std::optional<ops::KeyValues> cross;  // of the encoded sequence
};

// One step of generation: row n is the token at positions[n] of the sequence with caches[n], see
// nn::AttentionStep. The caller keeps the buffers between steps.
struct StepBuffers {
  ops::RowBuffer normed, update;
  nn::Attention::StepBuffers attention;
  nn::Ffn::StepBuffers ffn;
};
struct BlockStep {
  std::span<BlockCache* const> caches;
  std::span<const std::int64_t> positions, num_keys;
  std::span<const std::int64_t> num_encoded;  // cross-attention: tokens of the encoded sequence
  ops::Rotary rotary = {};
  at::Tensor bias_HR = {};
};

class Block {
 public:
  // Logical names PREFIX.{attention_norm,attention,cross_norm,cross,ffn_norm,ffn}. Dropout sites:
  // sublayer outputs PREFIX.{attention,cross,ffn}, and within the sublayers
  // PREFIX.{attention.probabilities,cross.probabilities,ffn.hidden}.
  Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config,
        const nn::InitRule& init);
  // Applies the block to the residual stream [B, T, d_model]; sublayers compute in dtype `compute`.
  // The output of the last sublayer is returned as an update that the next norm adds. `sources`:
  // rotary and bias for self-attention, encoded sequence for cross-attention.
  ops::Residual forward(const ops::Residual& residual_BTD, const nn::AttentionSources& sources,
                        at::ScalarType compute, const ops::Context& context) const;

  // The same for generation: x [N, d_model] is the residual stream, updated in place.
  void step(const ops::Rows& x, const BlockStep& step, StepBuffers& buffers) const;
  BlockCache make_cache() const;  // empty, for one sequence
  // Cross-attention: reads the encoded sequence.
  void read_encoded(const ops::Rows& encoded, BlockCache& cache, StepBuffers& buffers) const;

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
