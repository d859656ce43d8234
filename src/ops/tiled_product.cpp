#include "ops/tiled_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <vector>

#include "ops/choose.h"

namespace sluice::ops {
namespace {

// An output tile and the operands of one kernel call stay in the L2 cache.
constexpr std::int64_t kTileM = 128, kTileN = 64, kTileK = 512;
// Weight gradients: dy is transposed tile by tile, kTransposedRows rows at a time.
constexpr std::int64_t kTileO = 64, kTransposedRows = 256;

std::int64_t tiles(std::int64_t n, std::int64_t tile) { return (n + tile - 1) / tile; }

// c [M, N] = a [M, K] · b [K, N].
void product(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t M = a.size(0), K = a.size(1), N = b.size(1), tiles_n = tiles(N, kTileN);
  const auto *from_a = read<float>(a), *from_b = read<float>(b);
  auto* to = write<float>(c);
  at::parallel_for(0, tiles(M, kTileM) * tiles_n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t m = tile / tiles_n * kTileM, n = tile % tiles_n * kTileN;
      for (std::int64_t k = 0; k < K; k += kTileK) {
        const TileShape shape{
            std::min(kTileM, M - m), std::min(kTileN, N - n), std::min(kTileK, K - k), K, N, N};
        tile_product(shape, from_a + m * K + k, from_b + k * N + n, to + m * N + n, k > 0);
      }
    }
    end_tile_products();
  });
}

}  // namespace

bool tiled_product_is_faster() {
  static const bool is_amd = machine().cpu_model.find("AMD") != std::string::npos;
  return is_amd && usable_features().avx512;
}

void tile_product(const TileShape& s, const float* a, const float* b, float* c, bool add) {
  if (usable_features().avx512)
    at::native::cpublas::brgemm(s.M, s.N, s.K, s.stride_a, s.stride_b, s.stride_c, add, a, b, c);
  else
    tile_kernel()(s, a, b, c, add);
}

void transpose(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride) {
  constexpr std::int64_t kBlock = 16;  // rows read together; their cache lines stay in L1
  for (std::int64_t r0 = 0; r0 < rows; r0 += kBlock)
    for (std::int64_t c = 0; c < columns; ++c)
      for (std::int64_t r = r0; r < std::min(r0 + kBlock, rows); ++r)
        to[c * to_stride + r] = from[r * stride + c];
}

void end_tile_products() {
  if (usable_features().avx512) at::native::cpublas::brgemm_release(false);
}

void tiled_forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI,
                           const at::Tensor& weight_OI) {
  product(y_NO, x_NI, weight_OI.t().contiguous());
}

void tiled_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                         const at::Tensor& weight_OI) {
  product(dx_NI, dy_NO, weight_OI);
}

void tiled_add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                               const at::Tensor& x_NI) {
  const std::int64_t O = gradient_OI.size(0), I = gradient_OI.size(1), N = x_NI.size(0),
                     dy_stride = dy_NO.stride(0);
  const auto *dy = read<float>(dy_NO), *x = read<float>(x_NI);
  auto* gradient = write<float>(gradient_OI);
  at::parallel_for(0, tiles(O, kTileO), 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> transposed(kTileO * kTransposedRows);
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t o = tile * kTileO, num_o = std::min(kTileO, O - o);
      for (std::int64_t row = 0; row < N; row += kTransposedRows) {
        const std::int64_t rows = std::min(kTransposedRows, N - row);
        transpose(dy + row * dy_stride + o, dy_stride, rows, num_o, transposed.data(),
                  kTransposedRows);
        for (std::int64_t i = 0; i < I; i += kTileN)
          tile_product({num_o, std::min(kTileN, I - i), rows, kTransposedRows, I, I},
                       transposed.data(), x + row * I + i, gradient + o * I + i, true);
      }
    }
    end_tile_products();
  });
}

}  // namespace sluice::ops
