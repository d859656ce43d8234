// Shapes: B sequences, T targets, n generated tokens, D d_model.
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

at::Tensor TransformerModel::next_logits(const at::Tensor& inputs_BT,
                                         const ops::Context& context) const {
  return logits_after(encode(inputs_BT, context),
                      at::empty({inputs_BT.size(0), 0}, inputs_BT.options()), context);
}

at::Tensor TransformerModel::logits_after(const at::Tensor& encoded, const at::Tensor& generated_Bn,
                                          const ops::Context& context) const {
  return logits_of(hidden_after(encoded, generated_Bn, context), context);
}

}  // namespace sluice::model
