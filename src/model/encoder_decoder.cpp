// Shapes: B sequences, S inputs, T targets, D d_model, V vocabulary.
#include "model/encoder_decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "ops/dropout.h"
#include "ops/linear.h"

namespace sluice::model {
namespace {

nn::InitRule init_of(const EncoderDecoderConfig& c) {
  return {.config = std::get<nn::T5InitConfig>(c.init), .num_layers = c.num_layers};
}

}  // namespace

EncoderDecoder::EncoderDecoder(const EncoderDecoderConfig& c, std::int64_t vocab_size,
                               std::int64_t start_id)
    : head_scale_(c.tie_embeddings ? 1.0 / std::sqrt(static_cast<double>(c.d_model)) : 1.0),
      start_id_(start_id),
      embedding_(parameters_.add({.name = "embedding.weight",
                                  .shape = {vocab_size, c.d_model},
                                  .init = init_of(c).embedding(),
                                  .decay = true})),
      encoder_(make_stack(c, "encoder", /*decoder=*/false)),
      decoder_(make_stack(c, "decoder", /*decoder=*/true)) {
  head_ = {embedding_, vocab_size};
  if (c.tie_embeddings) return;
  head_.weight = parameters_.add({.name = "head.weight",
                                  .shape = {vocab_size, c.d_model},
                                  .init = init_of(c).matrix(c.d_model),
                                  .decay = true});
  decoder_.sections.extend(parameters_);
}

EncoderDecoder::Stack EncoderDecoder::make_stack(const EncoderDecoderConfig& c,
                                                 const std::string& name, bool decoder) {
  const nn::InitRule init = init_of(c);
  const std::int64_t num_blocks = decoder ? c.resolved_decoder_layers() : c.num_layers,
                     heads = c.num_heads;
  const BlockConfig block{
      .d_model = c.d_model,
      .attention = {.num_heads = heads, .num_kv_heads = heads, .head_dim = c.resolved_head_dim()},
      .causal = decoder,
      .cross = decoder,
      .ffn = &*c.ffn,
      .d_ff = c.resolved_d_ff().d_ff,
      .norm = c.norm,
      .dropout = c.dropout,
      .inner_dropout = c.dropout};
  nn::RelativeBias position(parameters_, name + ".position",
                            std::get<nn::T5RelativeConfig>(c.position), heads,
                            /*bidirectional=*/!decoder, init);
  std::deque<Block> blocks;
  Sections sections;
  sections.begin(parameters_);
  for (std::int64_t i = 0; i < num_blocks; ++i) {
    blocks.emplace_back(parameters_, cat(name, ".blocks.", i), block, init);
    sections.end(parameters_);
  }
  nn::Norm final_norm(parameters_, name + ".final_norm", c.norm, c.d_model, /*bias=*/false);
  sections.end(parameters_);
  return {.position = position,
          .blocks = std::move(blocks),
          .sections = std::move(sections),
          .final_norm = final_norm,
          .embedding_dropout = {c.dropout, ops::dropout_site(name + ".embedding")},
          .output_dropout = {c.dropout, ops::dropout_site(name + ".final_norm")}};
}

at::Tensor EncoderDecoder::run_stack(const Stack& stack, const at::Tensor& ids_BT,
                                     const at::Tensor& encoded_BSD,
                                     const ops::Context& context) const {
  const at::ScalarType compute = embedding_->compute.scalar_type();
  const nn::AttentionSources sources{.bias_HR = stack.position.forward(ids_BT.size(1)),
                                     .encoded_BSD = encoded_BSD};
  const at::Tensor x_BTD = ops::embedding(ids_BT, *embedding_, context);
  ops::Residual residual_BTD{.x = ops::dropout(x_BTD, stack.embedding_dropout, context)};
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    stack.sections.tell(i, residual_BTD, context);
    residual_BTD = stack.blocks[i].forward(residual_BTD, sources, compute, context);
  }
  stack.sections.tell(stack.blocks.size(), residual_BTD, context);
  const ops::NormOutput normed_BTD =
      stack.final_norm.forward(residual_BTD, embedding_->value.scalar_type(), context);
  return ops::dropout(normed_BTD.y, stack.output_dropout, context);
}

at::Tensor EncoderDecoder::encode(const at::Tensor& inputs_BS, const ops::Context& context) const {
  return run_stack(encoder_, inputs_BS, {}, context).to(embedding_->compute.scalar_type());
}

at::Tensor EncoderDecoder::hidden(const at::Tensor& encoded_BSD, const at::Tensor& ids_BT,
                                  const ops::Context& context) const {
  const at::Tensor decoded_BTD = run_stack(decoder_, ids_BT, encoded_BSD, context);
  return (head_.weight == embedding_ ? decoded_BTD * head_scale_ : decoded_BTD)
      .to(embedding_->compute.scalar_type());
}

at::Tensor EncoderDecoder::shifted_right(const at::Tensor& targets_BT) const {
  const at::Tensor start_B1 = at::full({targets_BT.size(0), 1}, start_id_, targets_BT.options());
  const at::Tensor earlier = targets_BT.narrow(1, 0, targets_BT.size(1) - 1);
  return at::cat({start_B1, at::where(earlier.lt(0), start_id_, earlier)}, 1);
}

at::Tensor EncoderDecoder::hidden_of_targets(const Batch& batch,
                                             const ops::Context& context) const {
  return hidden(encode(batch.inputs_BT, context), shifted_right(batch.targets_BT), context);
}

std::vector<ops::ArenaRange> EncoderDecoder::gradient_sections() const {
  std::vector<ops::ArenaRange> all = decoder_.sections.last_to_first();
  for (const ops::ArenaRange& range : encoder_.sections.last_to_first()) all.push_back(range);
  return all;
}

CachedModel EncoderDecoder::cached(std::int64_t) const {
  const auto view = [&](const Stack& stack) {
    return StackView{.embedding = embedding_,
                     .blocks = &stack.blocks,
                     .final_norm = &stack.final_norm,
                     .bias = &stack.position};
  };
  return {.decoder = view(decoder_),
          .encoder = view(encoder_),
          .head = {head_.weight, head_.vocab_size, head_.weight == embedding_ ? head_scale_ : 1.0}};
}

std::unique_ptr<LanguageModel> make(const EncoderDecoderConfig& config, std::int64_t rows,
                                    const Sequences& sequences) {
  invariant(sequences.start_id.has_value(),
            "the sequences of an encoder-decoder include a start token");
  return std::make_unique<EncoderDecoder>(config, rows, *sequences.start_id);
}

}  // namespace sluice::model
