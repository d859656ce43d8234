// fp32 products out of oneDNN's tile kernel (LibTorch exports it as cpublas::brgemm). MKL, which LibTorch's own fp32 products
// call, reaches less than half of it on AMD. Needs AVX-512. Every element is summed in one fixed order, whatever the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sluice::ops {

// Below this many rows a call is not worth its tiles.
inline constexpr std::int64_t kTiledProductRows = 128;

bool has_tile_kernel();          // this CPU and this LibTorch have it
bool tiled_product_is_faster();  // and it beats at::mm here

// C [M, N] = A [M, K] · B [K, N], or += where `add`: one tile on the calling thread; strides between rows in elements.
struct TileShape {
  std::int64_t M, N, K, stride_a, stride_b, stride_c;
};
void tile_product(const TileShape& shape, const float* a, const float* b, float* c, bool add);
void end_tile_products();  // at the end of each thread's share

// to [columns, rows] = fromᵀ, from [rows, columns]; strides between rows in elements.
void turn_over(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, float* to, std::int64_t to_stride);

// As in ops/matrix_product.h, all fp32, rows contiguous.
void tiled_forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI, const at::Tensor& weight_OI);
void tiled_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO, const at::Tensor& weight_OI);
void tiled_add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO, const at::Tensor& x_NI);

}  // namespace sluice::ops
