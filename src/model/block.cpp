#include "model/block.h"

#include <vector>

#include "ops/dropout.h"

namespace sluice::model {
namespace {

nn::AttentionConfig self_attention(const BlockConfig& c, const std::string& name) {
  return {.shape = c.attention,
          .d_model = c.d_model,
          .bias = c.bias,
          .rule = {.causal = c.causal,
                   .divisor = c.divisor,
                   .dropout = {c.inner_dropout, ops::dropout_site(name + ".probabilities")}}};
}

nn::AttentionConfig cross_attention(const BlockConfig& c, const std::string& name) {
  return {.shape = c.attention,
          .d_model = c.d_model,
          .bias = c.bias,
          .cross = true,
          .rule = {.divisor = c.divisor,
                   .dropout = {c.inner_dropout, ops::dropout_site(name + ".probabilities")}}};
}

}  // namespace

Block::Block(ops::Parameters& parameters, const std::string& prefix, const BlockConfig& config,
             const nn::InitRule& init)
    : attention_norm_(parameters, prefix + ".attention_norm", config.norm, config.d_model,
                      config.bias),
      attention_(parameters, prefix + ".attention", self_attention(config, prefix + ".attention"),
                 init),
      cross_(config.cross ? std::optional<Cross>(
                                {nn::Norm(parameters, prefix + ".cross_norm", config.norm,
                                          config.d_model, config.bias),
                                 nn::Attention(parameters, prefix + ".cross",
                                               cross_attention(config, prefix + ".cross"), init)})
                          : std::nullopt),
      ffn_norm_(parameters, prefix + ".ffn_norm", config.norm, config.d_model, config.bias),
      ffn_(parameters, prefix + ".ffn", *config.ffn,
           {.d_model = config.d_model, .d_ff = config.d_ff, .bias = config.bias}, init),
      attention_dropout_{config.dropout, ops::dropout_site(prefix + ".attention")},
      cross_dropout_{config.dropout, ops::dropout_site(prefix + ".cross")},
      ffn_dropout_{config.dropout, ops::dropout_site(prefix + ".ffn")},
      hidden_dropout_{config.inner_dropout, ops::dropout_site(prefix + ".ffn.hidden")} {}

ops::Residual Block::forward(const ops::Residual& residual_BTD, const nn::AttentionSources& sources,
                             at::ScalarType compute, const ops::Context& context) const {
  const nn::AttentionSources self{.rotary = sources.rotary, .bias_HR = sources.bias_HR};
  ops::NormOutput x_BTD = attention_norm_.forward(residual_BTD, compute, context);
  const at::Tensor attended_BTD = attention_.forward(x_BTD.y, self, context);
  ops::Residual next_BTD{x_BTD.sum, ops::dropout(attended_BTD, attention_dropout_, context)};
  if (cross_) {
    const nn::AttentionSources other{.encoded_BSD = sources.encoded_BSD};
    x_BTD = cross_->norm.forward(next_BTD, compute, context);
    const at::Tensor crossed_BTD = cross_->attention.forward(x_BTD.y, other, context);
    next_BTD = {x_BTD.sum, ops::dropout(crossed_BTD, cross_dropout_, context)};
  }
  x_BTD = ffn_norm_.forward(next_BTD, compute, context);
  const at::Tensor fed_BTD = ffn_.forward(x_BTD.y, hidden_dropout_, context);
  return {x_BTD.sum, ops::dropout(fed_BTD, ffn_dropout_, context)};
}

void Block::step(const ops::Rows& x, const BlockStep& step, StepBuffers& buffers) const {
  const ops::Rows normed = buffers.normed.rows(x.count, x.width),
                  update = buffers.update.rows(x.count, x.width);
  std::vector<ops::KeyValues*> caches;
  for (BlockCache* cache : step.caches) caches.push_back(&cache->self);
  attention_norm_.step(x, normed);
  attention_.step(normed, {caches, step.positions, step.num_keys, step.rotary, step.bias_HR},
                  buffers.attention, update);
  ops::add_rows(x, update);
  if (cross_) {
    caches.clear();
    for (BlockCache* cache : step.caches) caches.push_back(&*cache->cross);
    cross_->norm.step(x, normed);
    cross_->attention.step(normed, {caches, step.positions, step.num_encoded}, buffers.attention,
                           update);
    ops::add_rows(x, update);
  }
  ffn_norm_.step(x, normed);
  ffn_.step(normed, buffers.ffn, update);
  ops::add_rows(x, update);
}

BlockCache Block::make_cache() const {
  BlockCache cache{.self = attention_.make_cache()};
  if (cross_) cache.cross = cross_->attention.make_cache();
  return cache;
}

void Block::read_encoded(const ops::Rows& encoded, BlockCache& cache, StepBuffers& buffers) const {
  if (cross_) cross_->attention.read_encoded(encoded, buffers.attention, *cache.cross);
}

}  // namespace sluice::model
