// Loss and in-place gradient of softmax cross-entropy for a chunk of logits.
// Shapes: R rows, V columns of logits, of which the first `vocab_size` are used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "gpu/device.h"

namespace sluice::ops {

// With log Z = logsumexp(logits): loss_2R (float64 [2, R]) receives log Z − logits[target] and
// (log Z)², both 0 for targets < 0. If `with_gradient`, logits are overwritten by
//
//   scale · (softmax · (1 + 2 z_loss log Z) − one-hot),
//
// the gradient of scale · (loss_2R[0] + z_loss · loss_2R[1]); rows with negative targets and padded
// columns become 0.
struct LossSettings {
  std::int64_t vocab_size;
  double scale;
  double z_loss;
  bool with_gradient;
  at::Tensor device_scale = {};  // float64 scalar, in place of `scale` on a GPU
};

void softmax_gradient_cpu(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                          const at::Tensor& loss_2R, const LossSettings& settings);
// The same in ATen calls, for any device and without synchronization.
void softmax_gradient_aten(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                           const at::Tensor& loss_2R, const LossSettings& settings);
// On a GPU. Rows are 16-byte aligned: row_stride_for(columns) elements apart.
void softmax_gradient_gpu(gpu::Device& device, const at::Tensor& logits_RV,
                          const at::Tensor& targets_R, const at::Tensor& loss_2R,
                          const LossSettings& settings);
std::int64_t row_stride_for(std::int64_t columns);

}  // namespace sluice::ops
