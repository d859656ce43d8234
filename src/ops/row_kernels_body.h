// The text of the kernels in ops/row_kernels.h, included by one file per instruction set. All of it
// has internal linkage and no other header is used, so that no code compiled for one
// instruction set is shared with the rest of the program.
#pragma once

#include "ops/row_kernels.h"

// A namespace of its own: other files of ops have functions of these names.
namespace sluice::ops::row_kernels_body {
namespace {

// Sixteen fp32 numbers in native vectors: GCC keeps a vector wider than the registers in memory.
#if defined(__AVX512F__)
constexpr int kPartLanes = 16, kTileRows = 4, kTileColumns = 4, kSingleRowColumns = 8;
#elif defined(__AVX2__)
constexpr int kPartLanes = 8, kTileRows = 2, kTileColumns = 2, kSingleRowColumns = 4;
#else
constexpr int kPartLanes = 4, kTileRows = 1, kTileColumns = 2, kSingleRowColumns = 2;
#endif
constexpr int kParts = static_cast<int>(kLanes) / kPartLanes;

using Part [[gnu::vector_size(4 * kPartLanes)]] = float;
using Words [[gnu::vector_size(4 * kPartLanes)]] = std::uint32_t;
using HalfWords [[gnu::vector_size(2 * kPartLanes)]] = std::uint16_t;
using UnalignedPart [[gnu::vector_size(4 * kPartLanes), gnu::aligned(4), gnu::may_alias]] = float;
using UnalignedHalfWords [[gnu::vector_size(2 * kPartLanes), gnu::aligned(2), gnu::may_alias]] =
    std::uint16_t;

struct Lanes {
  Part part[kParts];
};
struct StoredBf16 {
  std::uint16_t bits;
};

[[gnu::always_inline]] inline void load(const float* from, Lanes& to) {
  for (int i = 0; i < kParts; ++i)
    to.part[i] = *reinterpret_cast<const UnalignedPart*>(from + i * kPartLanes);
}
[[gnu::always_inline]] inline void load(const StoredBf16* from, Lanes& to) {
  for (int i = 0; i < kParts; ++i) {
    const HalfWords words = *reinterpret_cast<const UnalignedHalfWords*>(from + i * kPartLanes);
    to.part[i] = reinterpret_cast<Part>(__builtin_convertvector(words, Words) << 16);
  }
}
// The first `count` elements, then zeros.
template <class T>
[[gnu::always_inline]] inline void load_first(const T* from, std::int64_t count, Lanes& to) {
  T elements[kLanes] = {};
  for (std::int64_t i = 0; i < count; ++i) elements[i] = from[i];
  load(elements, to);
}
// The last `count` elements before `end`, 0 < count < 16, after zeros. Reads 16 elements; those of
// bf16 weights are not zeroed, since the factors in x are.
constexpr float kZerosThenOnes[2 * kLanes] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                              1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
[[gnu::always_inline]] inline void load_last(const float* end, std::int64_t count, Lanes& to) {
  Lanes ones;
  load(end - kLanes, to);
  load(kZerosThenOnes + count, ones);
  for (int i = 0; i < kParts; ++i) to.part[i] *= ones.part[i];
}
[[gnu::always_inline]] inline void load_last(const StoredBf16* end, std::int64_t, Lanes& to) {
  load(end - kLanes, to);
}
[[gnu::always_inline]] inline void store(const Lanes& from, float* to) {
  for (int i = 0; i < kParts; ++i)
    *reinterpret_cast<UnalignedPart*>(to + i * kPartLanes) = from.part[i];
}
[[gnu::always_inline]] inline void add_product(Lanes& sum, const Lanes& a, const Lanes& b) {
  for (int i = 0; i < kParts; ++i) sum.part[i] += a.part[i] * b.part[i];
}
[[gnu::always_inline]] inline void add_product(Lanes& sum, float a, const Lanes& b) {
  for (int i = 0; i < kParts; ++i) sum.part[i] += a * b.part[i];
}
// In halves: lane i and lane i + 8, then i and i + 4, …
[[gnu::always_inline]] inline float sum_of(const Lanes& lanes) {
  float all[kLanes];
  store(lanes, all);
#pragma GCC unroll 4
  for (int half = static_cast<int>(kLanes) / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) all[i] += all[i + half];
  return all[0];
}

template <int kRows, int kColumns, class W>
[[gnu::always_inline]] inline void multiply_tile(const RowProduct& p, std::int64_t row,
                                                 std::int64_t column) {
  const float* x = p.x + row * p.inner;
  const W* w = static_cast<const W*>(p.weight) + column * p.inner;
  Lanes sums[kRows][kColumns] = {};
  const auto add = [&](const auto& read) {
    Lanes x_lanes[kRows], w_lanes;
    for (int r = 0; r < kRows; ++r) read(x + r * p.inner, x_lanes[r]);
    for (int c = 0; c < kColumns; ++c) {
      read(w + c * p.inner, w_lanes);
      for (int r = 0; r < kRows; ++r) add_product(sums[r][c], x_lanes[r], w_lanes);
    }
  };
  std::int64_t k = 0;
  for (; k + kLanes <= p.inner; k += kLanes) {
    if (row == 0)  // the weights of the next tile, while those of this one are read from memory
      for (int c = 0; c < kColumns; ++c) __builtin_prefetch(w + (c + kColumns) * p.inner + k);
    add([&](const auto* from, Lanes& to) { load(from + k, to); });
  }
  if (k < p.inner) add([&](const auto* from, Lanes& to) { load_first(from + k, p.inner - k, to); });
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c)
      p.y[(row + r) * p.y_stride + column + c] = sum_of(sums[r][c]);
}

// All rows of one group of columns; the weights of the group stay in cache.
template <int kColumns, class W>
void multiply_columns(const RowProduct& p, std::int64_t column) {
  std::int64_t row = 0;
  for (; row + kTileRows <= p.rows; row += kTileRows)
    multiply_tile<kTileRows, kColumns, W>(p, row, column);
  if constexpr (kTileRows > 2) {
    if (row + 2 <= p.rows) {
      multiply_tile<2, kColumns, W>(p, row, column);
      row += 2;
    }
  }
  if (row < p.rows) multiply_tile<1, kColumns, W>(p, row, column);
}

template <class W>
void multiply(const RowProduct& p) {
  std::int64_t column = 0;
  if (p.rows == 1)
    for (; column + kSingleRowColumns <= p.columns; column += kSingleRowColumns)
      multiply_tile<1, kSingleRowColumns, W>(p, 0, column);
  for (; column + kTileColumns <= p.columns; column += kTileColumns)
    multiply_columns<kTileColumns, W>(p, column);
  for (; column < p.columns; ++column) multiply_columns<1, W>(p, column);
}

template <int kBlocks>
[[gnu::always_inline]] inline void score_blocks(const HeadKeys& head, const float* keys,
                                                float* scores) {
  const std::int64_t block = head.head_dim * kLanes;
  Lanes sums[kBlocks] = {}, lanes;
  for (std::int64_t d = 0; d < head.head_dim; ++d)
    for (int b = 0; b < kBlocks; ++b) {
      load(keys + b * block + d * kLanes, lanes);
      add_product(sums[b], head.query[d], lanes);
    }
  for (int b = 0; b < kBlocks; ++b) store(sums[b], scores + b * kLanes);
}

void score(const HeadKeys& head, float* scores) {
  const std::int64_t num_blocks = (head.num_keys + kLanes - 1) / kLanes,
                     block = head.head_dim * kLanes;
  std::int64_t b = 0;
  for (; b + 4 <= num_blocks; b += 4)
    score_blocks<4>(head, head.keys + b * block, scores + b * kLanes);
  for (; b < num_blocks; ++b) score_blocks<1>(head, head.keys + b * block, scores + b * kLanes);
}

template <int kVectors>
[[gnu::always_inline]] inline void sum_values(const HeadKeys& head, const float* weights,
                                              std::int64_t first, float* out) {
  Lanes sums[kVectors] = {}, lanes;
  const float* values = head.values + first;
  for (std::int64_t j = 0; j < head.num_keys; ++j, values += head.value_stride)
    for (int v = 0; v < kVectors; ++v) {
      load(values + v * kLanes, lanes);
      add_product(sums[v], weights[j], lanes);
    }
  for (int v = 0; v < kVectors; ++v) store(sums[v], out + first + v * kLanes);
}

void sum_weighted(const HeadKeys& head, const float* weights, float* out) {
  std::int64_t first = 0;
  for (; first + 4 * kLanes <= head.value_stride; first += 4 * kLanes)
    sum_values<4>(head, weights, first, out);
  for (; first < head.value_stride; first += kLanes) sum_values<1>(head, weights, first, out);
}

constexpr RowKernels kKernels{.product_f32 = &multiply<float>,
                              .product_bf16 = &multiply<StoredBf16>,
                              .scores = &score,
                              .weighted_sum = &sum_weighted};

}  // namespace
}  // namespace sluice::ops::row_kernels_body
