// Forward and backward pass of tiled attention for one head of one sequence. Backward computes
// tiles as keys × queries, so that no tile of scores has to be transposed.
//
// Shapes: B sequences, T queries, S keys, H query heads, K key/value heads, G = H/K, D head_dim,
// R = T + S − 1 distances; M = kTile.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "ops/attention_kernels.h"
#include "ops/choose.h"
#include "ops/tiled_product.h"

namespace sluice::ops {

struct AttentionLayout {
  std::int64_t B, T, S, H, K, D;
  std::int64_t q_stride, kv_stride;       // elements between rows
  std::int64_t key_column, value_column;  // of the first head of k and v in a row of kv
  bool causal;
  float scale;
  const float *cos, *sin;  // nullptr: no rotation
  const float* bias;       // [H, R]; nullptr: none

  std::int64_t group() const { return H / K; }
  std::int64_t query_tiles() const { return (T + kTile - 1) / kTile; }
  std::int64_t key_tiles() const { return (S + kTile - 1) / kTile; }
  std::int64_t visible_tiles(std::int64_t query_tile) const {
    return causal ? query_tile + 1 : key_tiles();
  }
  std::int64_t num_distances() const { return T + S - 1; }
  HeadRows queries(std::int64_t tile, std::int64_t stride, bool rotated, float factor) const {
    return {.rows = std::min(kTile, T - tile * kTile),
            .stride = stride,
            .head_dim = D,
            .first = tile * kTile,
            .cos = rotated ? cos : nullptr,
            .sin = sin,
            .scale = factor};
  }
  HeadRows keys(std::int64_t tile, bool rotated) const {
    return {.rows = std::min(kTile, S - tile * kTile),
            .stride = kv_stride,
            .head_dim = D,
            .first = tile * kTile,
            .cos = rotated ? cos : nullptr,
            .sin = sin,
            .scale = 1.0f};
  }
  std::int64_t query_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * T + tile * kTile) * q_stride + head * D;
  }
  std::int64_t key_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * S + tile * kTile) * kv_stride + key_column + head * D;
  }
  std::int64_t value_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return key_at(b, tile, head) + value_column - key_column;
  }
  std::int64_t output_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * T + tile * kTile) * H * D + head * D;
  }
  std::int64_t row_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * H + head) * query_tiles() * kTile + tile * kTile;
  }

  // A head's bias is padded with zeros to `padded_bias` elements, so that tiles may read beyond the
  // last query and key. Distance key − query = 0 is element query_tiles · M − 1 or, in backward's
  // reversed order (index increasing with the query), element key_tiles · M.
  std::int64_t padded_bias() const { return (query_tiles() + key_tiles()) * kTile; }
  std::int64_t bias_margin() const { return query_tiles() * kTile - T; }
};

// Per-thread scratch memory; take() returns 64-byte aligned buffers.
class Scratch {
 public:
  explicit Scratch(std::int64_t elements)
      : buffer_(at::empty({elements}, at::kFloat)),
        next_(write<float>(buffer_)),
        end_(next_ + elements) {}
  float* take(std::int64_t elements) {
    float* taken = next_;
    next_ += (elements + 15) / 16 * 16;
    invariant(next_ <= end_, "attention scratch memory is large enough");
    return taken;
  }

 private:
  at::Tensor buffer_;
  float *next_, *end_;
};

struct TileProduct {
  std::int64_t M, N, K;
};

inline void multiply(const TileProduct& s, const float* a, const float* b, float* c, bool add) {
  tile_product({s.M, s.N, s.K, s.K, s.N, s.N}, a, b, c, add);
}

// Processes one query head at a time.
template <typename T>
class AttentionForward {
 public:
  struct Tensors {
    const T *q, *kv;
    T* y;
    float* log_sum_exp;
  };

  AttentionForward(const AttentionLayout& layout, const Tensors& tensors)
      : l_(layout),
        t_(tensors),
        scratch_(l_.key_tiles() * kTile * (2 * l_.D + kTile) + 3 * kTile * l_.D + kTile +
                 l_.padded_bias() + 64) {
    const std::int64_t all = l_.key_tiles() * kTile;
    transposed_keys_ = scratch_.take(all * l_.D);
    values_ = scratch_.take(all * l_.D);
    scores_ = scratch_.take(all * kTile);
    query_ = scratch_.take(kTile * l_.D);
    output_ = scratch_.take(kTile * l_.D);
    factor_ = scratch_.take(kTile);
    if (l_.bias) bias_ = scratch_.take(l_.padded_bias());
  }

  void head(std::int64_t b, std::int64_t head) {
    const std::int64_t D = l_.D, key_head = head / l_.group(), size = kTile * D;
    for (std::int64_t tile = 0; tile < l_.key_tiles(); ++tile) {
      run_kernel<LoadHeadKernel>(t_.kv + l_.key_at(b, tile, key_head), output_,
                                 l_.keys(tile, true));
      transpose(output_, D, kTile, D, transposed_keys_ + tile * size, kTile);
      run_kernel<LoadHeadKernel>(t_.kv + l_.value_at(b, tile, key_head), values_ + tile * size,
                                 l_.keys(tile, false));
    }
    if (l_.bias) {
      std::fill(bias_, bias_ + l_.padded_bias(), 0.0f);
      std::copy_n(l_.bias + head * l_.num_distances(), l_.num_distances(),
                  bias_ + l_.bias_margin());
    }
    for (std::int64_t q = 0; q < l_.query_tiles(); ++q) query_tile(b, head, q);
  }

 private:
  void query_tile(std::int64_t b, std::int64_t head, std::int64_t q) {
    const std::int64_t D = l_.D, size = kTile * D, tiles = l_.visible_tiles(q);
    run_kernel<LoadHeadKernel>(t_.q + l_.query_at(b, q, head), query_,
                               l_.queries(q, l_.q_stride, true, l_.scale));
    for (std::int64_t k = 0; k < tiles; ++k)
      multiply({kTile, kTile, D}, query_, transposed_keys_ + k * size, scores_ + k * kTile * kTile,
               false);
    const float* bias = l_.bias ? bias_ + (l_.query_tiles() - q) * kTile - 1 : nullptr;
    run_kernel<SoftmaxKernel>(scores_, SoftmaxBlock{tiles, l_.S, l_.causal, bias}, factor_,
                              t_.log_sum_exp + l_.row_at(b, q, head));
    for (std::int64_t k = 0; k < tiles; ++k)
      multiply({kTile, D, kTile}, scores_ + k * kTile * kTile, values_ + k * size, output_, k > 0);
    run_kernel<StoreScaledKernel>(
        static_cast<const float*>(output_), static_cast<const float*>(factor_),
        t_.y + l_.output_at(b, q, head), l_.queries(q, l_.H * D, false, 1.0f));
  }

  const AttentionLayout& l_;
  Tensors t_;
  Scratch scratch_;
  float *transposed_keys_, *values_, *scores_, *query_, *output_, *factor_, *bias_ = nullptr;
};

// Processes one key head with all its query heads at a time: only one worker adds to its dK and dV.
template <typename T>
class AttentionBackward {
 public:
  struct Tensors {
    const T *q, *kv, *y, *dy;
    const float* log_sum_exp;
    T *dq, *dkv;
    float* dbias;  // [B, H, R]; nullptr without a bias
  };

  AttentionBackward(const AttentionLayout& layout, const Tensors& tensors)
      : l_(layout),
        t_(tensors),
        scratch_(5 * l_.key_tiles() * kTile * l_.D + 5 * kTile * l_.D + 2 * kTile * kTile + kTile +
                 2 * l_.padded_bias() + 160) {
    const std::int64_t all = l_.key_tiles() * kTile * l_.D, size = kTile * l_.D;
    for (float** whole : {&keys_, &transposed_keys_, &values_, &dkeys_, &dvalues_})
      *whole = scratch_.take(all);
    for (float** tile : {&query_, &transposed_query_, &dy_, &transposed_dy_, &transposed_dquery_})
      *tile = scratch_.take(size);
    p_ = scratch_.take(kTile * kTile);
    dp_ = scratch_.take(kTile * kTile);
    delta_ = scratch_.take(kTile);
    if (!l_.bias) return;
    bias_ = scratch_.take(l_.padded_bias());
    dbias_ = scratch_.take(l_.padded_bias());
  }

  void head(std::int64_t b, std::int64_t key_head) {
    const std::int64_t size = kTile * l_.D;
    for (std::int64_t k = 0; k < l_.key_tiles(); ++k) {
      run_kernel<LoadHeadKernel>(t_.kv + l_.key_at(b, k, key_head), keys_ + k * size,
                                 l_.keys(k, true));
      transpose(keys_ + k * size, l_.D, kTile, l_.D, transposed_keys_ + k * size, kTile);
      run_kernel<LoadHeadKernel>(t_.kv + l_.value_at(b, k, key_head), values_ + k * size,
                                 l_.keys(k, false));
    }
    std::fill(dkeys_, dkeys_ + l_.key_tiles() * size, 0.0f);
    std::fill(dvalues_, dvalues_ + l_.key_tiles() * size, 0.0f);
    for (std::int64_t head = key_head * l_.group(); head < (key_head + 1) * l_.group(); ++head) {
      if (l_.bias) load_bias(head);
      for (std::int64_t q = 0; q < l_.query_tiles(); ++q) query_tile(b, head, q);
      if (l_.bias) store_dbias(b, head);
    }
    for (std::int64_t k = 0; k < l_.key_tiles(); ++k) {
      const float *dkey = dkeys_ + k * size, *dvalue = dvalues_ + k * size;
      run_kernel<StoreHeadKernel>(dkey, t_.dkv + l_.key_at(b, k, key_head), l_.keys(k, true));
      run_kernel<StoreHeadKernel>(dvalue, t_.dkv + l_.value_at(b, k, key_head), l_.keys(k, false));
    }
  }

 private:
  // Reversed order: query − key = 0 is element key_tiles · M.
  void load_bias(std::int64_t head) {
    std::fill(bias_, bias_ + l_.padded_bias(), 0.0f);
    std::fill(dbias_, dbias_ + l_.padded_bias(), 0.0f);
    const float* from = l_.bias + head * l_.num_distances();
    std::reverse_copy(from, from + l_.num_distances(), bias_ + first_distance());
  }
  void store_dbias(std::int64_t b, std::int64_t head) {
    const float* from = dbias_ + first_distance();
    std::reverse_copy(from, from + l_.num_distances(),
                      t_.dbias + (b * l_.H + head) * l_.num_distances());
  }
  // Position of the pair (last key, first query).
  std::int64_t first_distance() const { return l_.key_tiles() * kTile - (l_.S - 1); }

  void query_tile(std::int64_t b, std::int64_t head, std::int64_t q) {
    const std::int64_t D = l_.D, size = kTile * D, output = l_.output_at(b, q, head);
    const HeadRows output_rows = l_.queries(q, l_.H * D, false, 1.0f);
    run_kernel<LoadHeadKernel>(t_.q + l_.query_at(b, q, head), query_,
                               l_.queries(q, l_.q_stride, true, l_.scale));
    run_kernel<LoadHeadKernel>(t_.dy + output, dy_, output_rows);
    run_kernel<DeltaKernel>(t_.y + output, t_.dy + output, delta_, output_rows);
    transpose(query_, D, kTile, D, transposed_query_, kTile);
    transpose(dy_, D, kTile, D, transposed_dy_, kTile);
    for (std::int64_t k = 0; k < l_.visible_tiles(q); ++k) {
      multiply({kTile, kTile, D}, keys_ + k * size, transposed_query_, p_, false);
      multiply({kTile, kTile, D}, values_ + k * size, transposed_dy_, dp_, false);
      const std::int64_t bias_at = (l_.key_tiles() - k + q) * kTile;
      run_kernel<SoftmaxBackwardKernel>(
          p_, dp_,
          BackwardTile{t_.log_sum_exp + l_.row_at(b, q, head), delta_,
                       std::min(kTile, l_.S - k * kTile), l_.causal && k == q,
                       l_.bias ? bias_ + bias_at : nullptr, l_.bias ? dbias_ + bias_at : nullptr});
      multiply({kTile, D, kTile}, p_, dy_, dvalues_ + k * size, true);
      multiply({kTile, D, kTile}, dp_, query_, dkeys_ + k * size, true);
      multiply({D, kTile, kTile}, transposed_keys_ + k * size, dp_, transposed_dquery_, k > 0);
    }
    transpose(transposed_dquery_, kTile, D, kTile, query_, D);
    run_kernel<StoreHeadKernel>(static_cast<const float*>(query_), t_.dq + l_.query_at(b, q, head),
                                l_.queries(q, l_.q_stride, true, l_.scale));
  }

  const AttentionLayout& l_;
  Tensors t_;
  Scratch scratch_;
  float *keys_, *transposed_keys_, *values_, *dkeys_, *dvalues_;
  float *query_, *transposed_query_, *dy_, *transposed_dy_, *transposed_dquery_, *p_, *dp_, *delta_,
      *bias_ = nullptr, *dbias_ = nullptr;
};

}  // namespace sluice::ops
