// T5 (Raffel et al. 2020) as of February 2020: a bidirectional encoder, and a causal decoder with
// cross-attention to the encoder's output. Both share one embedding, which is also the head if
// tied; the head's input is then multiplied by d_model^-½. Attention logits are not divided by
// sqrt(head_dim); in self-attention they have a relative position bias. All embedding rows,
// including padding, take part in the softmax.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "model/block.h"
#include "model/encoder_decoder_config.h"
#include "model/sections.h"
#include "model/transformer_model.h"
#include "nn/norm.h"
#include "nn/t5_relative.h"

namespace sluice::model {

// Logical names: embedding.weight, {encoder,decoder}.{position.weight,blocks.N.…,final_norm.scale},
// head.weight (untied). Dropout sites: the outputs {encoder,decoder}.{embedding,final_norm} and
// those of the blocks.
class EncoderDecoder final : public TransformerModel {
 public:
  // `vocab_size`: rows of the embedding. `start_id`: the decoder's input before the first target.
  EncoderDecoder(const EncoderDecoderConfig& config, std::int64_t vocab_size,
                 std::int64_t start_id);
  std::optional<std::int32_t> start_id() const override {
    return static_cast<std::int32_t>(start_id_);
  }
  at::Tensor encode(const at::Tensor& inputs_BS, const ops::Context& context) const override;

 private:
  struct Stack {
    nn::RelativeBias position;
    std::deque<Block> blocks;
    Sections sections;
    nn::Norm final_norm;
    ops::Dropout embedding_dropout, output_dropout;
  };
  Stack make_stack(const EncoderDecoderConfig& config, const std::string& name, bool decoder);
  // Applies a stack to ids [B, T] -> fp32 [B, T, d_model]. `encoded`: for cross-attention;
  // undefined in the encoder.
  at::Tensor run_stack(const Stack& stack, const at::Tensor& ids_BT, const at::Tensor& encoded_BSD,
                       const ops::Context& context) const;
  // The input of the head, [B, T, d_model] in the compute dtype, for decoder inputs `ids`.
  at::Tensor hidden(const at::Tensor& encoded_BSD, const at::Tensor& ids_BT,
                    const ops::Context& context) const;
  // Decoder inputs are start_id and all targets but the last; unscored targets become start_id.
  at::Tensor hidden_of_targets(const Batch& batch, const ops::Context& context) const override;
  CachedModel cached(std::int64_t max_length) const override;
  std::vector<ops::ArenaRange> gradient_sections() const override;
  at::Tensor shifted_right(const at::Tensor& targets_BT) const;

  double head_scale_;
  std::int64_t start_id_;
  const ops::Weight* embedding_;
  Stack encoder_, decoder_;
};

}  // namespace sluice::model
