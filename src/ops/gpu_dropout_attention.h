// Attention with dropout of the probabilities on a GPU: fp32 products of a library, which hold the
// scores of all pairs in memory, and the kernels of ops/dropout_attention.cu. Masks are those of
// the CPU, bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include "gpu/device.h"
#include "ops/attention_core.h"
#include "ops/gpu_dropout.h"

namespace sluice::ops {

struct AttentionDropout {
  at::Tensor keys_B;  // from gpu_dropout_keys(); undefined: no dropout
  DropoutMask mask = {};
};

CoreResult dropout_attention(gpu::Device& device, const CoreInputs& inputs,
                             const AttentionDropout& dropout);

struct DropoutAttentionGradients {
  Heads heads;
  at::Tensor dbias_HR;  // fp32 [H, T + S − 1]; undefined without a bias
};
DropoutAttentionGradients dropout_attention_gradients(gpu::Device& device, const CoreInputs& inputs,
                                                      const CoreResult& result,
                                                      const at::Tensor& dy_BTHD,
                                                      const AttentionDropout& dropout);

}  // namespace sluice::ops
