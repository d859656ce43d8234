// Decoder-only pre-norm Transformer: embedding, blocks, final norm, tied or separate head.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "model/block.h"
#include "model/decoder_config.h"
#include "model/sections.h"
#include "model/transformer_model.h"
#include "nn/position.h"

namespace sluice::model {

// Logical names: embedding.weight, position.weight, blocks.N.…, final_norm.scale, head.weight
// (untied), and biases if config.bias is set (none in the head). Dropout sites: `embedding` (its
// output) and those of the blocks.
class Decoder final : public TransformerModel {
 public:
  Decoder(const DecoderConfig& config, std::int64_t vocab_size, std::int64_t sequence_length);

 private:
  at::Tensor hidden(const at::Tensor& inputs_BT, const ops::Context& context) const;
  at::Tensor hidden_of_targets(const Batch& batch, const ops::Context& context) const override;
  CachedModel cached(std::int64_t max_length) const override;
  std::vector<ops::ArenaRange> gradient_sections() const override;

  ops::Dropout embedding_dropout_;
  const ops::Weight* embedding_;
  std::optional<nn::Position> position_;
  std::deque<Block> blocks_;
  Sections sections_;
  std::optional<nn::Norm> final_norm_;
};

}  // namespace sluice::model
