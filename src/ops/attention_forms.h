// The three forms of attention. All take and give what ops/attention.h states, attention() chooses; only the reference drops probabilities.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/attention.h"

namespace sluice::ops {

at::Tensor reference_attention(const AttentionInputs& inputs, const AttentionShape& shape, const AttentionRule& rule,
                               const Context& context);
// LibTorch's scaled_dot_product_attention.
at::Tensor library_attention(const AttentionInputs& inputs, const AttentionShape& shape, const AttentionRule& rule);
// Our tiles on oneDNN's fp32 kernel, CPU with AVX-512 only (has_tile_kernel): computes in fp32 whatever the input's type.
at::Tensor tiled_attention(const AttentionInputs& inputs, const AttentionShape& shape, const AttentionRule& rule);

}  // namespace sluice::ops
