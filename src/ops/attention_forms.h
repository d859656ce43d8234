// The three forms of causal_attention. All take and give what ops/attention.h states; causal_attention chooses.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/attention.h"

namespace sluice::ops {

at::Tensor reference_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary);
// LibTorch's scaled_dot_product_attention.
at::Tensor library_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary);
// Our tiles on oneDNN's fp32 kernel, CPU with AVX-512 only (has_tile_kernel): computes in fp32 whatever the input's type.
at::Tensor tiled_attention(const at::Tensor& qkv_BTE, const AttentionShape& shape, const Rotary& rotary);

}  // namespace sluice::ops
