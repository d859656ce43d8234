// The text of the kernels in ops/tile_kernels.h, included by one file per instruction set. As in
// ops/row_kernels_body.h, nothing of it is shared with the rest of the program.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "ops/tile_kernels.h"

namespace sluice::ops::tile_kernels_body {
namespace {

// kRows x kVectors sums, one vector of each row of B and one element of A fit in the registers.
#if defined(__AVX2__)
constexpr int kWidth = 8, kRows = 6, kVectors = 2;
#else
constexpr int kWidth = 4, kRows = 4, kVectors = 2;
#endif
using Vector [[gnu::vector_size(4 * kWidth)]] = float;
using UnalignedVector [[gnu::vector_size(4 * kWidth), gnu::aligned(4), gnu::may_alias]] = float;

// Columns beyond the last whole vector are copied to a buffer, this many rows of B at a time.
constexpr std::int64_t kBufferRows = 128;

[[gnu::always_inline]] inline Vector load(const float* from) {
  return *reinterpret_cast<const UnalignedVector*>(from);
}
[[gnu::always_inline]] inline void store(Vector value, float* to) {
  *reinterpret_cast<UnalignedVector*>(to) = value;
}
[[gnu::always_inline]] inline Vector multiply_add(float a, Vector b, Vector sum) {
#if defined(__AVX2__)
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, sum);
#else
  return a * b + sum;
#endif
}

// K, and the rows of a block, are the only sizes that are read from the shape.
template <int kBlockRows, int kBlockVectors>
[[gnu::always_inline]] inline void multiply_block(const TileShape& s, const float* a,
                                                  const float* b, float* c, bool add) {
  Vector sums[kBlockRows][kBlockVectors];
  for (int r = 0; r < kBlockRows; ++r)
    for (int v = 0; v < kBlockVectors; ++v)
      sums[r][v] = add ? load(c + r * s.stride_c + v * kWidth) : Vector{};
  for (std::int64_t k = 0; k < s.K; ++k) {
    Vector from_b[kBlockVectors];
    for (int v = 0; v < kBlockVectors; ++v) from_b[v] = load(b + k * s.stride_b + v * kWidth);
    for (int r = 0; r < kBlockRows; ++r)
      for (int v = 0; v < kBlockVectors; ++v)
        sums[r][v] = multiply_add(a[r * s.stride_a + k], from_b[v], sums[r][v]);
  }
  for (int r = 0; r < kBlockRows; ++r)
    for (int v = 0; v < kBlockVectors; ++v) store(sums[r][v], c + r * s.stride_c + v * kWidth);
}

// All rows of some columns.
template <int kBlockVectors>
void multiply_columns(const TileShape& s, const float* a, const float* b, float* c, bool add) {
  std::int64_t m = 0;
  const auto rows = [&]<int kBlockRows>() {
    for (; m + kBlockRows <= s.M; m += kBlockRows)
      multiply_block<kBlockRows, kBlockVectors>(s, a + m * s.stride_a, b, c + m * s.stride_c, add);
  };
  rows.template operator()<kRows>();
  if constexpr (kRows > 4) rows.template operator()<4>();
  rows.template operator()<2>();
  rows.template operator()<1>();
}

// The last `columns` columns, fewer than a vector.
void multiply_rest(const TileShape& s, std::int64_t columns, const float* a, const float* b,
                   float* c, bool add) {
  float from_b[kBufferRows * kWidth] = {};
  TileShape row{1, kWidth, 0, s.stride_a, kWidth, kWidth};
  for (std::int64_t first = 0; first < s.K; first += kBufferRows, add = true) {
    row.K = s.K - first < kBufferRows ? s.K - first : kBufferRows;
    for (std::int64_t k = 0; k < row.K; ++k)
      for (std::int64_t n = 0; n < columns; ++n)
        from_b[k * kWidth + n] = b[(first + k) * s.stride_b + n];
    for (std::int64_t m = 0; m < s.M; ++m) {
      float sums[kWidth] = {}, *to = c + m * s.stride_c;
      for (std::int64_t n = 0; n < columns; ++n) sums[n] = add ? to[n] : 0;
      multiply_block<1, 1>(row, a + m * s.stride_a + first, from_b, sums, true);
      for (std::int64_t n = 0; n < columns; ++n) to[n] = sums[n];
    }
  }
}

void multiply_tile(const TileShape& s, const float* a, const float* b, float* c, bool add) {
  std::int64_t n = 0;
  for (; n + kVectors * kWidth <= s.N; n += kVectors * kWidth)
    multiply_columns<kVectors>(s, a, b + n, c + n, add);
  for (; n + kWidth <= s.N; n += kWidth) multiply_columns<1>(s, a, b + n, c + n, add);
  if (n < s.N) multiply_rest(s, s.N - n, a, b + n, c + n, add);
}

}  // namespace
}  // namespace sluice::ops::tile_kernels_body
