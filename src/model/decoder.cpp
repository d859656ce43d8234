// Shapes: B sequences, T positions, D d_model, N = B·T rows, V vocabulary.
#include "model/decoder.h"

#include "base/text_format.h"
#include "ops/dropout.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"

namespace sluice::model {

Decoder::Decoder(const DecoderConfig& c, std::int64_t vocab_size, std::int64_t sequence_length)
    : dropout_(c.dropout), vocab_size_(vocab_size) {
  const nn::InitRule init{.config = c.init, .num_layers = c.num_layers};
  embedding_ = parameters_.add({{.name = "embedding.weight", .shape = {vocab_size, c.d_model}, .init = init.embedding(), .decay = true}},
                               c.pad_vocab_multiple);
  position_.emplace(parameters_, c.position,
                    nn::PositionSizes{.d_model = c.d_model, .head_dim = c.resolved_head_dim(), .sequence_length = sequence_length}, init);
  const BlockConfig block{.d_model = c.d_model,
                          .attention = {.num_heads = c.num_heads, .num_kv_heads = c.resolved_kv_heads(), .head_dim = c.resolved_head_dim()},
                          .ffn = &*c.ffn,
                          .d_ff = c.resolved_d_ff().d_ff,
                          .norm = c.norm,
                          .bias = c.bias,
                          .dropout = c.dropout};
  for (std::int64_t i = 0; i < c.num_layers; ++i) blocks_.emplace_back(parameters_, cat("blocks.", i), block, init, i);
  final_norm_.emplace(parameters_, "final_norm", c.norm, c.d_model, c.bias);
  head_ = embedding_;
  if (!c.tie_embeddings) {
    head_ = parameters_.add({{.name = "head.weight", .shape = {vocab_size, c.d_model}, .init = init.matrix(c.d_model), .decay = true}},
                            c.pad_vocab_multiple);
  }
}

at::Tensor Decoder::hidden(const at::Tensor& inputs_BT, const ops::Context& context) const {
  const at::ScalarType compute = embedding_->compute.scalar_type();
  const ops::Rotary rotary = position_->rotary(inputs_BT.size(1), inputs_BT.device());
  at::Tensor x_BTD = position_->add_to(ops::embedding(inputs_BT, *embedding_, context), context);
  x_BTD = ops::dropout(x_BTD, dropout_, 0, context);
  for (const Block& block : blocks_) x_BTD = block.forward(x_BTD, rotary, compute, context);
  return final_norm_->forward(x_BTD, compute, context);
}

at::Tensor Decoder::head(const at::Tensor& hidden, const ops::Context& context) const {
  return ops::linear(hidden, *head_, nullptr, context).narrow(-1, 0, vocab_size_).to(at::kFloat);
}

Loss Decoder::loss(const Batch& batch, const LossScale& scale, const ops::Context& context) const {
  const at::Tensor hidden_BTD = hidden(batch.inputs_BT, context);
  const ops::CrossEntropy result =
      ops::linear_cross_entropy(hidden_BTD.reshape({-1, hidden_BTD.size(-1)}), *head_, batch.targets_BT.reshape({-1}),
                                {.vocab_size = vocab_size_, .scale = scale.scale, .z_loss = scale.z_loss}, context);
  return {result.total, result.cross_entropy};
}

at::Tensor Decoder::target_nats(const Batch& batch, const ops::Context& context) const {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden_BTD = hidden(batch.inputs_BT, context);
  return ops::cross_entropy_of_rows(hidden_BTD.reshape({-1, hidden_BTD.size(-1)}), *head_, batch.targets_BT.reshape({-1}), vocab_size_,
                                    context)
      .view_as(batch.targets_BT);
}

at::Tensor Decoder::next_logits(const at::Tensor& inputs_BT, const ops::Context& context) const {
  return head(hidden(inputs_BT, context).select(1, inputs_BT.size(1) - 1), context);
}

at::Tensor Decoder::logits(const at::Tensor& inputs_BT, const ops::Context& context) const {
  return head(hidden(inputs_BT, context), context);
}

}  // namespace sluice::model
