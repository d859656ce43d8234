// Shapes: B sequences, T targets, D d_model.
#include "model/transformer_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"

namespace sluice::model {

Loss TransformerModel::loss(const Batch& batch, const LossScale& scale,
                            const ops::Context& context) const {
  const at::Tensor hidden_BTD = hidden_of_targets(batch, context);
  const ops::CrossEntropy result = ops::linear_cross_entropy(
      hidden_BTD.reshape({-1, hidden_BTD.size(-1)}), *head_.weight, batch.targets_BT.reshape({-1}),
      {.vocab_size = head_.vocab_size,
       .scale = scale.scale,
       .z_loss = scale.z_loss,
       .device_scale = scale.device_scale},
      context);
  return {result.total, result.cross_entropy};
}

at::Tensor TransformerModel::target_nats(const Batch& batch, const ops::Context& context) const {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden_BTD = hidden_of_targets(batch, context);
  return ops::cross_entropy_of_rows(hidden_BTD.reshape({-1, hidden_BTD.size(-1)}), *head_.weight,
                                    batch.targets_BT.reshape({-1}), head_.vocab_size, context)
      .view_as(batch.targets_BT);
}

at::Tensor TransformerModel::logits_of(const at::Tensor& hidden,
                                       const ops::Context& context) const {
  return ops::linear(hidden, *head_.weight, nullptr, context)
      .narrow(-1, 0, head_.vocab_size)
      .to(at::kFloat);
}

at::Tensor TransformerModel::logits(const Batch& batch, const ops::Context& context) const {
  return logits_of(hidden_of_targets(batch, context), context);
}

std::unique_ptr<Decoding> TransformerModel::make_decoding(std::int64_t num_sequences,
                                                          std::int64_t max_length) const {
  if (!can_cache(*head_.weight)) return LanguageModel::make_decoding(num_sequences, max_length);
  return make_cached_decoding(cached(max_length), num_sequences, max_length);
}

}  // namespace sluice::model
