// Loss and gradient of softmax cross-entropy for a chunk of rows of logits, in place.
// Shapes: R rows of the chunk, V' columns of logits of which the first `vocab_size` count.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sluice::ops {

// With log Z = logsumexp(logits): loss_2R (float64 [2, R]) receives log Z − logits[target] and (log Z)², 0 for targets < 0. Where
// `with_gradient`, logits become scale · (softmax · (1 + 2 z_loss log Z) − one-hot), 0 in the rows of negative targets and in the padded
// columns: the gradient of scale · (loss_2R[0] + z_loss · loss_2R[1]).
struct LossSettings {
  std::int64_t vocab_size;
  double scale;
  double z_loss;
  bool with_gradient;
};

void softmax_gradient_cpu(const at::Tensor& logits_RV, const at::Tensor& targets_R, const at::Tensor& loss_2R,
                          const LossSettings& settings);
// The same in ATen calls: any device, no wait for it.
void softmax_gradient_aten(const at::Tensor& logits_RV, const at::Tensor& targets_R, const at::Tensor& loss_2R,
                           const LossSettings& settings);

}  // namespace sluice::ops
