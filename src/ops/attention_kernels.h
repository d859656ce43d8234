// Kernels between the matrix products of tiled attention. Tiles are contiguous fp32 [kTile, kTile]
// (queries × keys in forward, keys × queries in backward) or [kTile, D].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/kernels.h"
#include "ops/scalar_math.h"

namespace sluice::ops {

inline constexpr std::int64_t kTile = 64;

// Layout and rotation of one head's rows in a packed tensor. `first`: position of the first row.
struct HeadRows {
  std::int64_t rows, stride, head_dim, first;
  const float *cos, *sin;  // [T, D/2]; nullptr: no rotation
  float scale;
};

// tile [kTile, D] = scale · rotated rows; rows beyond `rows` are zero.
struct LoadHeadKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* packed, float* tile, HeadRows head) {
    const std::int64_t half = head.head_dim / 2;
    for (std::int64_t row = 0; row < head.rows;
         ++row, packed += head.stride, tile += head.head_dim) {
      const T* __restrict from = packed;
      float* __restrict to = tile;
      if (!head.cos) {
        for (std::int64_t i = 0; i < head.head_dim; ++i) to[i] = load(from[i]) * head.scale;
        continue;
      }
      const float* __restrict cos = head.cos + (head.first + row) * half;
      const float* __restrict sin = head.sin + (head.first + row) * half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float x = load(from[i]), y = load(from[half + i]);
        to[i] = (x * cos[i] - y * sin[i]) * head.scale;
        to[half + i] = (y * cos[i] + x * sin[i]) * head.scale;
      }
    }
    std::fill(tile, tile + (kTile - head.rows) * head.head_dim, 0.0f);
  }
};

// The adjoint of LoadHeadKernel: packed = scale · rows of the tile, rotated back.
struct StoreHeadKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const float* tile, T* packed, HeadRows head) {
    const std::int64_t half = head.head_dim / 2;
    for (std::int64_t row = 0; row < head.rows;
         ++row, packed += head.stride, tile += head.head_dim) {
      const float* __restrict from = tile;
      T* __restrict to = packed;
      if (!head.cos) {
        for (std::int64_t i = 0; i < head.head_dim; ++i) store(from[i] * head.scale, to[i]);
        continue;
      }
      const float* __restrict cos = head.cos + (head.first + row) * half;
      const float* __restrict sin = head.sin + (head.first + row) * half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float x = from[i] * head.scale, y = from[half + i] * head.scale;
        store(x * cos[i] + y * sin[i], to[i]);
        store(y * cos[i] - x * sin[i], to[half + i]);
      }
    }
  }
};

// The keys visible to one block of queries.
struct SoftmaxBlock {
  std::int64_t tiles;     // score tiles; if causal, the last one is on the diagonal
  std::int64_t num_keys;  // later keys are padding; unused if causal
  bool causal;
  // nullptr, or the bias of the first query and key 0; one element earlier for each further query
  const float* bias;
};

// scores: the block's tiles -> exp(score + bias − row maximum), 0 for masked keys. reciprocal_sum
// and log_sum_exp: one value per query.
struct SoftmaxKernel {
  [[gnu::always_inline]] static inline void run(float* scores, SoftmaxBlock block,
                                                float* reciprocal_sum, float* log_sum_exp) {
    for (std::int64_t row = 0; row < kTile; ++row) {
      const std::int64_t visible =
          block.causal ? (block.tiles - 1) * kTile + row + 1 : block.num_keys;
      if (block.bias) add_bias(scores + row * kTile, block.tiles, block.bias - row);
      float largest = scores[row * kTile], sum = 0;
      for (std::int64_t tile = 0; tile < block.tiles; ++tile) {
        const float* s = scores + (tile * kTile + row) * kTile;
        const std::int64_t keys = std::min(kTile, visible - tile * kTile);
#pragma omp simd reduction(max : largest)
        for (std::int64_t k = 0; k < keys; ++k) largest = std::max(largest, s[k]);
      }
      for (std::int64_t tile = 0; tile < block.tiles; ++tile) {
        float* s = scores + (tile * kTile + row) * kTile;
        const std::int64_t last = std::min(kTile, visible - tile * kTile) - 1;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t k = 0; k < kTile; ++k) {
          const float p = k <= last ? fast_exp(s[k] - largest) : 0.0f;
          s[k] = p;
          sum += p;
        }
      }
      reciprocal_sum[row] = 1.0f / sum;
      log_sum_exp[row] = largest + std::log(sum);
    }
  }

  [[gnu::always_inline]] static inline void add_bias(float* row, std::int64_t tiles,
                                                     const float* bias) {
    for (std::int64_t tile = 0; tile < tiles; ++tile, row += kTile * kTile, bias += kTile) {
      float* __restrict s = row;
      const float* __restrict b = bias;
      for (std::int64_t k = 0; k < kTile; ++k) s[k] += b[k];
    }
  }
};

// Writes the rows of an output tile, each scaled by its factor.
struct StoreScaledKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const float* tile, const float* factor, T* packed,
                                                HeadRows head) {
    for (std::int64_t row = 0; row < head.rows; ++row)
      for (std::int64_t i = 0; i < head.head_dim; ++i)
        store(tile[row * head.head_dim + i] * factor[row], packed[row * head.stride + i]);
  }
};

// Per query: delta = Σ dy · y over the head.
struct DeltaKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(const T* y, const T* dy, float* delta,
                                                HeadRows head) {
    for (std::int64_t row = 0; row < kTile; ++row) {
      float sum = 0;
      if (row < head.rows) {
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < head.head_dim; ++i)
          sum += load(y[row * head.stride + i]) * load(dy[row * head.stride + i]);
      }
      delta[row] = sum;
    }
  }
};

// One tile of keys for a block of queries.
struct BackwardTile {
  const float *log_sum_exp, *delta;  // per query
  std::int64_t num_keys;             // valid rows; the remaining rows are padding
  bool diagonal;                     // causal mask: a key is visible from its own query on
  // nullptr, or the bias of the first key and query 0, and the buffer that its gradient is added
  // to; each further key starts one element earlier
  const float* bias;
  float* dbias;
};

// On keys × queries tiles: p becomes the probabilities exp(score + bias − log_sum_exp), and dp the
// gradient of the scores, p (dp − delta).
struct SoftmaxBackwardKernel {
  [[gnu::always_inline]] static inline void run(float* p, float* dp, BackwardTile tile) {
    const float* __restrict log_sum_exp = tile.log_sum_exp;
    const float* __restrict delta = tile.delta;
    for (std::int64_t key = 0; key < kTile; ++key) {
      float* __restrict p_row = p + key * kTile;
      float* __restrict dp_row = dp + key * kTile;
      const std::int64_t first = key >= tile.num_keys ? kTile : tile.diagonal ? key : 0;
      if (tile.bias) {
        const float* __restrict bias = tile.bias - key;
        for (std::int64_t query = 0; query < kTile; ++query) p_row[query] += bias[query];
      }
      for (std::int64_t query = 0; query < kTile; ++query) {
        const float probability =
            query >= first ? fast_exp(p_row[query] - log_sum_exp[query]) : 0.0f;
        p_row[query] = probability;
        dp_row[query] = probability * (dp_row[query] - delta[query]);
      }
      if (tile.bias) {
        float* __restrict dbias = tile.dbias - key;
        for (std::int64_t query = 0; query < kTile; ++query) dbias[query] += dp_row[query];
      }
    }
  }
};

}  // namespace sluice::ops
