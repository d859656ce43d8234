// The implementations of attention, with the interface of ops/attention.h; attention() selects one.
// Only the reference and the GPU form implement dropout.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/attention.h"

namespace sluice::ops {

at::Tensor reference_attention(const AttentionInputs& inputs, const AttentionShape& shape,
                               const AttentionRule& rule, const Context& context);
// LibTorch's scaled_dot_product_attention.
at::Tensor library_attention(const AttentionInputs& inputs, const AttentionShape& shape,
                             const AttentionRule& rule);
// For CPUs: in tiles (ops/tiled_product.h), in fp32 for every input dtype.
at::Tensor tiled_attention(const AttentionInputs& inputs, const AttentionShape& shape,
                           const AttentionRule& rule);
// Kernels of context.gpu around a core of a library (ops/attention_core.h). Rotated queries and
// keys, and the bias, are rounded to the input dtype.
at::Tensor gpu_attention(const AttentionInputs& inputs, const AttentionShape& shape,
                         const AttentionRule& rule, const Context& context);

}  // namespace sluice::ops
