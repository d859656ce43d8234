// fp32 matrix products in tiles: with AVX-512 on oneDNN's tile kernel (exported by LibTorch as
// cpublas::brgemm), otherwise on that of ops/tile_kernels.h. LibTorch's own fp32 products call MKL,
// which reaches less than half the speed of oneDNN's kernel on AMD. Every element is summed in a
// fixed order for any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/tile_kernels.h"

namespace sluice::ops {

// Below this number of rows, tiles do not pay off.
inline constexpr std::int64_t kTiledProductRows = 128;

bool tiled_product_is_faster();  // than at::mm, on this CPU

// One tile on the calling thread.
void tile_product(const TileShape& shape, const float* a, const float* b, float* c, bool add);
void end_tile_products();  // call on each thread after its last tile

// to [columns, rows] = fromᵀ, from [rows, columns]; strides are elements between rows.
void transpose(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride);

// As in ops/matrix_product.h; all fp32 with contiguous rows.
void tiled_forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI,
                           const at::Tensor& weight_OI);
void tiled_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                         const at::Tensor& weight_OI);
void tiled_add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                               const at::Tensor& x_NI);

}  // namespace sluice::ops
