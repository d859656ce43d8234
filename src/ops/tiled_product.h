// fp32 matrix products on oneDNN's tile kernel (exported by LibTorch as cpublas::brgemm).
// LibTorch's own fp32 products call MKL, which reaches less than half this speed on AMD. Requires
// AVX-512. Every element is summed in a fixed order for any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sluice::ops {

// Below this number of rows, tiles do not pay off.
inline constexpr std::int64_t kTiledProductRows = 128;

bool has_tile_kernel();          // supported by this CPU and this LibTorch
bool tiled_product_is_faster();  // supported and faster than at::mm

// C [M, N] = A [M, K] · B [K, N], or += if `add`: one tile on the calling thread. Strides are
// elements between rows.
struct TileShape {
  std::int64_t M, N, K, stride_a, stride_b, stride_c;
};
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
