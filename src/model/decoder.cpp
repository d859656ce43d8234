// Shapes: B sequences, T positions, D d_model, N = B·T rows, V vocabulary.
#include "model/decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/text_format.h"
#include "ops/dropout.h"
#include "ops/linear.h"

namespace sluice::model {

Decoder::Decoder(const DecoderConfig& c, std::int64_t vocab_size, std::int64_t sequence_length)
    : embedding_dropout_{c.dropout, ops::dropout_site("embedding")} {
  const nn::InitRule init{.config = c.init, .num_layers = c.num_layers};
  embedding_ = parameters_.add({{.name = "embedding.weight",
                                 .shape = {vocab_size, c.d_model},
                                 .init = init.embedding(),
                                 .decay = true}},
                               c.pad_vocab_multiple);
  position_.emplace(parameters_, c.position,
                    nn::PositionSizes{.d_model = c.d_model,
                                      .head_dim = c.resolved_head_dim(),
                                      .sequence_length = sequence_length},
                    init);
  const BlockConfig block{.d_model = c.d_model,
                          .attention = {.num_heads = c.num_heads,
                                        .num_kv_heads = c.resolved_kv_heads(),
                                        .head_dim = c.resolved_head_dim()},
                          .divisor = std::sqrt(static_cast<double>(c.resolved_head_dim())),
                          .ffn = &*c.ffn,
                          .d_ff = c.resolved_d_ff().d_ff,
                          .norm = c.norm,
                          .bias = c.bias,
                          .dropout = c.dropout};
  sections_.begin(parameters_);
  for (std::int64_t i = 0; i < c.num_layers; ++i) {
    blocks_.emplace_back(parameters_, cat("blocks.", i), block, init);
    sections_.end(parameters_);
  }
  final_norm_.emplace(parameters_, "final_norm", c.norm, c.d_model, c.bias);
  head_ = {embedding_, vocab_size};
  if (!c.tie_embeddings) {
    head_.weight = parameters_.add({{.name = "head.weight",
                                     .shape = {vocab_size, c.d_model},
                                     .init = init.matrix(c.d_model),
                                     .decay = true}},
                                   c.pad_vocab_multiple);
  }
  sections_.end(parameters_);
}

at::Tensor Decoder::hidden(const at::Tensor& inputs_BT, const ops::Context& context) const {
  const at::ScalarType compute = embedding_->compute.scalar_type();
  const nn::AttentionSources sources{.rotary =
                                         position_->rotary(inputs_BT.size(1), inputs_BT.device())};
  const at::Tensor x_BTD =
      position_->add_to(ops::embedding(inputs_BT, *embedding_, context), context);
  ops::Residual residual_BTD{.x = ops::dropout(x_BTD, embedding_dropout_, context)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    sections_.tell(i, residual_BTD, context);
    residual_BTD = blocks_[i].forward(residual_BTD, sources, compute, context);
  }
  sections_.tell(blocks_.size(), residual_BTD, context);
  return final_norm_->forward(residual_BTD, compute, context).y;
}

at::Tensor Decoder::hidden_of_targets(const Batch& batch, const ops::Context& context) const {
  return hidden(batch.inputs_BT, context);
}

std::vector<ops::ArenaRange> Decoder::gradient_sections() const {
  return sections_.last_to_first();
}

CachedModel Decoder::cached(std::int64_t max_length) const {
  return {.decoder = {.embedding = embedding_,
                      .blocks = &blocks_,
                      .final_norm = &*final_norm_,
                      .position_vectors = position_->vectors(max_length, at::kCPU),
                      .rotary = position_->rotary(max_length, at::kCPU)},
          .head = {head_.weight, head_.vocab_size}};
}

std::unique_ptr<LanguageModel> make(const DecoderConfig& config, std::int64_t rows,
                                    const Sequences& sequences) {
  return std::make_unique<Decoder>(config, rows, sequences.inputs);
}

}  // namespace sluice::model
