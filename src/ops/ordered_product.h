// fp32 matrix products on the kernel of ops/tile_kernels.h, with operands copied to blocks that
// stay in the L2 cache. Every element is one chain of fused multiply-adds over k in increasing
// order, so its bits depend on neither the shapes of blocks nor the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace sluice::ops {

// c [M, N] = a [M, K] · b [K, N], or += if `add`. Tensors of a CPU; a and b have any strides, the
// elements of a row of c are adjacent.
void ordered_product(const at::Tensor& c_MN, const at::Tensor& a_MK, const at::Tensor& b_KN,
                     bool add);

}  // namespace sluice::ops
