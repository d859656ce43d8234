// Launches of the kernels in ops/rotary.cu.
#pragma once

#include <ATen/core/Tensor.h>

#include "gpu/device.h"
#include "ops/attention.h"

namespace sluice::ops {

// A contiguous packed tensor [B, T, heads · head_dim] and its leading heads that are rotated.
struct PackedHeads {
  std::int64_t heads = 0, head_dim = 0;
  std::int64_t rotated = 0;  // 0: no rotary positions
};

// x with its leading heads rotated. `in_place`: x itself, otherwise a new tensor. x itself if
// nothing is rotated.
at::Tensor rotate_heads(gpu::Device& device, const at::Tensor& x, const PackedHeads& packed,
                        const Rotary& rotary, bool in_place);

// Writes the gradient of the heads from `first` on, [B, heads, T, head_dim] with any strides but
// head_dim contiguous, into a packed gradient; rotated heads are rotated back. If `gradient` is a
// view of packed_gradient at the same place, only rotates in place.
void pack_gradient(gpu::Device& device, const at::Tensor& gradient,
                   const at::Tensor& packed_gradient, const PackedHeads& packed, std::int64_t first,
                   const Rotary& rotary);

}  // namespace sluice::ops
