// Causal attention in tiles of 64 queries × 64 keys: only tiles on or below the diagonal are computed, and no score leaves the cache.
// Forward keeps log-sum-exp per query, from which backward recomputes the probabilities (Dao et al. 2022). Backward computes the tiles
// keys × queries: then every product reads its operands as they lie, and nothing of the size of the scores is turned over.
//
// Shapes: B sequences, T positions, H query heads, K key/value heads, G = H/K, D head width; M = kTile.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/attention_forms.h"
#include "ops/attention_kernels.h"
#include "ops/choose.h"
#include "ops/tiled_product.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Layout {
  std::int64_t B, T, H, K, D;
  const float *cos, *sin;

  std::int64_t group() const { return H / K; }
  std::int64_t tiles() const { return (T + kTile - 1) / kTile; }
  std::int64_t packed() const { return (H + 2 * K) * D; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(D)); }
  std::int64_t rows_of(std::int64_t tile) const { return std::min(kTile, T - tile * kTile); }
  // Rows of tile `tile` with row stride `stride`; `turned`: through the rotation.
  HeadRows rows(std::int64_t tile, std::int64_t stride, bool turned, float factor) const {
    return {rows_of(tile), stride, D, tile * kTile, turned ? cos : nullptr, sin, factor};
  }
  std::int64_t packed_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * T + tile * kTile) * packed() + head * D;
  }
  std::int64_t mixed_at(std::int64_t b, std::int64_t tile, std::int64_t head) const { return (b * T + tile * kTile) * H * D + head * D; }
  std::int64_t row_at(std::int64_t b, std::int64_t tile, std::int64_t head) const {
    return (b * H + head) * tiles() * kTile + tile * kTile;
  }
};

Layout layout_of(const at::Tensor& qkv_BTE, const AttentionShape& shape, const at::Tensor& cos, const at::Tensor& sin) {
  return {qkv_BTE.size(0),
          qkv_BTE.size(1),
          shape.num_heads,
          shape.num_kv_heads,
          shape.head_dim,
          cos.defined() ? read<float>(cos) : nullptr,
          sin.defined() ? read<float>(sin) : nullptr};
}

// A thread's buffers, handed out piece by piece on 64-byte boundaries.
class Scratch {
 public:
  explicit Scratch(std::int64_t elements)
      : buffer_(at::empty({elements}, at::kFloat)), next_(write<float>(buffer_)), end_(next_ + elements) {}
  float* take(std::int64_t elements) {
    float* taken = next_;
    next_ += (elements + 15) / 16 * 16;
    invariant(next_ <= end_, "the scratch of attention holds all its pieces");
    return taken;
  }

 private:
  at::Tensor buffer_;
  float *next_, *end_;
};

void multiply(std::int64_t M, std::int64_t N, std::int64_t K, const float* a, const float* b, float* c, bool add) {
  tile_product({M, N, K, K, N, N}, a, b, c, add);
}

// Work on one query head at a time.
template <typename T>
class Forward {
 public:
  Forward(const Layout& layout, const T* qkv, T* y, float* log_sum_exp)
      : l_(layout),
        qkv_(qkv),
        y_(y),
        log_sum_exp_(log_sum_exp),
        scratch_(l_.tiles() * kTile * (2 * l_.D + kTile) + 3 * kTile * l_.D + kTile + 64) {
    const std::int64_t all = l_.tiles() * kTile;
    turned_keys_ = scratch_.take(all * l_.D);
    values_ = scratch_.take(all * l_.D);
    scores_ = scratch_.take(all * kTile);
    query_ = scratch_.take(kTile * l_.D);
    mixed_ = scratch_.take(kTile * l_.D);
    factor_ = scratch_.take(kTile);
  }

  void head(std::int64_t b, std::int64_t head) {
    const std::int64_t D = l_.D, key_head = l_.H + head / l_.group(), value_head = key_head + l_.K, size = kTile * D;
    for (std::int64_t tile = 0; tile < l_.tiles(); ++tile) {
      run_kernel<LoadHeadKernel>(qkv_ + l_.packed_at(b, tile, key_head), mixed_, l_.rows(tile, l_.packed(), true, 1.0f));
      turn_over(mixed_, D, kTile, D, turned_keys_ + tile * size, kTile);
      run_kernel<LoadHeadKernel>(qkv_ + l_.packed_at(b, tile, value_head), values_ + tile * size, l_.rows(tile, l_.packed(), false, 1.0f));
    }
    for (std::int64_t q = 0; q < l_.tiles(); ++q) {
      run_kernel<LoadHeadKernel>(qkv_ + l_.packed_at(b, q, head), query_, l_.rows(q, l_.packed(), true, l_.scale()));
      for (std::int64_t k = 0; k <= q; ++k) multiply(kTile, kTile, D, query_, turned_keys_ + k * size, scores_ + k * kTile * kTile, false);
      run_kernel<CausalSoftmaxKernel>(scores_, q + 1, factor_, log_sum_exp_ + l_.row_at(b, q, head));
      for (std::int64_t k = 0; k <= q; ++k) multiply(kTile, D, kTile, scores_ + k * kTile * kTile, values_ + k * size, mixed_, k > 0);
      run_kernel<StoreScaledKernel>(static_cast<const float*>(mixed_), static_cast<const float*>(factor_), y_ + l_.mixed_at(b, q, head),
                                    l_.rows(q, l_.H * D, false, 1.0f));
    }
  }

 private:
  const Layout& l_;
  const T* qkv_;
  T* y_;
  float* log_sum_exp_;
  Scratch scratch_;
  float *turned_keys_, *values_, *scores_, *query_, *mixed_, *factor_;
};

template <typename T>
struct BackwardTensors {
  const T *qkv, *y, *dy;
  const float* log_sum_exp;
  T* dqkv;
};

// Work on one key head and all its query heads at a time: nobody else adds to its dK and dV.
template <typename T>
class Backward {
 public:
  Backward(const Layout& layout, const BackwardTensors<T>& tensors)
      : l_(layout), t_(tensors), scratch_(5 * l_.tiles() * kTile * l_.D + 6 * (kTile * l_.D + 16) + 2 * kTile * kTile + kTile) {
    const std::int64_t all = l_.tiles() * kTile * l_.D, size = kTile * l_.D;
    for (float** whole : {&keys_, &turned_keys_, &values_, &dkeys_, &dvalues_}) *whole = scratch_.take(all);
    for (float** tile : {&query_, &turned_query_, &dy_, &turned_dy_, &turned_dquery_}) *tile = scratch_.take(size);
    p_ = scratch_.take(kTile * kTile);
    dp_ = scratch_.take(kTile * kTile);
    delta_ = scratch_.take(kTile);
  }

  void head(std::int64_t b, std::int64_t key_head) {
    const std::int64_t packed_key = l_.H + key_head, packed_value = packed_key + l_.K, size = kTile * l_.D;
    for (std::int64_t k = 0; k < l_.tiles(); ++k) {
      run_kernel<LoadHeadKernel>(t_.qkv + l_.packed_at(b, k, packed_key), keys_ + k * size, l_.rows(k, l_.packed(), true, 1.0f));
      turn_over(keys_ + k * size, l_.D, kTile, l_.D, turned_keys_ + k * size, kTile);
      run_kernel<LoadHeadKernel>(t_.qkv + l_.packed_at(b, k, packed_value), values_ + k * size, l_.rows(k, l_.packed(), false, 1.0f));
    }
    std::fill(dkeys_, dkeys_ + l_.tiles() * size, 0.0f);
    std::fill(dvalues_, dvalues_ + l_.tiles() * size, 0.0f);
    for (std::int64_t head = key_head * l_.group(); head < (key_head + 1) * l_.group(); ++head)
      for (std::int64_t q = 0; q < l_.tiles(); ++q) query_tile(b, head, q);
    for (std::int64_t k = 0; k < l_.tiles(); ++k) {
      const float *dkey = dkeys_ + k * size, *dvalue = dvalues_ + k * size;
      run_kernel<StoreHeadKernel>(dkey, t_.dqkv + l_.packed_at(b, k, packed_key), l_.rows(k, l_.packed(), true, 1.0f));
      run_kernel<StoreHeadKernel>(dvalue, t_.dqkv + l_.packed_at(b, k, packed_value), l_.rows(k, l_.packed(), false, 1.0f));
    }
  }

 private:
  void query_tile(std::int64_t b, std::int64_t head, std::int64_t q) {
    const std::int64_t D = l_.D, size = kTile * D, mixed = l_.mixed_at(b, q, head);
    const HeadRows mixed_rows = l_.rows(q, l_.H * D, false, 1.0f);
    run_kernel<LoadHeadKernel>(t_.qkv + l_.packed_at(b, q, head), query_, l_.rows(q, l_.packed(), true, l_.scale()));
    run_kernel<LoadHeadKernel>(t_.dy + mixed, dy_, mixed_rows);
    run_kernel<DeltaKernel>(t_.y + mixed, t_.dy + mixed, delta_, mixed_rows);
    turn_over(query_, D, kTile, D, turned_query_, kTile);
    turn_over(dy_, D, kTile, D, turned_dy_, kTile);
    for (std::int64_t k = 0; k <= q; ++k) {
      multiply(kTile, kTile, D, keys_ + k * size, turned_query_, p_, false);
      multiply(kTile, kTile, D, values_ + k * size, turned_dy_, dp_, false);
      run_kernel<SoftmaxBackwardKernel>(p_, dp_, t_.log_sum_exp + l_.row_at(b, q, head), static_cast<const float*>(delta_), k == q);
      multiply(kTile, D, kTile, p_, dy_, dvalues_ + k * size, true);
      multiply(kTile, D, kTile, dp_, query_, dkeys_ + k * size, true);
      multiply(D, kTile, kTile, turned_keys_ + k * size, dp_, turned_dquery_, k > 0);
    }
    turn_over(turned_dquery_, kTile, D, kTile, query_, D);
    run_kernel<StoreHeadKernel>(static_cast<const float*>(query_), t_.dqkv + l_.packed_at(b, q, head),
                                l_.rows(q, l_.packed(), true, l_.scale()));
  }

  const Layout& l_;
  BackwardTensors<T> t_;
  Scratch scratch_;
  float *keys_, *turned_keys_, *values_, *dkeys_, *dvalues_;
  float *query_, *turned_query_, *dy_, *turned_dy_, *turned_dquery_, *p_, *dp_, *delta_;
};

// Calls worker(index) for all indices, one worker per thread's share.
template <typename MakeWorker>
void for_heads(std::int64_t batch, std::int64_t heads, const MakeWorker& make_worker) {
  at::parallel_for(0, batch * heads, 1, [&](std::int64_t begin, std::int64_t end) {
    auto worker = make_worker();
    for (std::int64_t i = begin; i < end; ++i) worker.head(i / heads, i % heads);
    end_tile_products();
  });
}

struct TiledAttention : torch::autograd::Function<TiledAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const Rotary& rotary, const AttentionShape& shape) {
    const at::Tensor qkv = input.contiguous(), &cos = rotary.cos, &sin = rotary.sin;
    const Layout layout = layout_of(qkv, shape, cos, sin);
    const at::Tensor y = at::empty({layout.B, layout.T, layout.H * layout.D}, qkv.options());
    const at::Tensor log_sum_exp = at::empty({layout.B, layout.H, layout.tiles() * kTile}, qkv.options().dtype(at::kFloat));
    with_stored_type(qkv.scalar_type(), [&](auto type) {
      using T = decltype(type);
      for_heads(layout.B, layout.H, [&] { return Forward<T>(layout, read<T>(qkv), write<T>(y), write<float>(log_sum_exp)); });
    });
    ctx->save_for_backward({qkv, y, log_sum_exp, cos, sin});
    ctx->saved_data["heads"] = shape.num_heads;
    ctx->saved_data["kv_heads"] = shape.num_kv_heads;
    ctx->saved_data["head_dim"] = shape.head_dim;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], &y = saved[1], &log_sum_exp = saved[2];
    const AttentionShape shape{ctx->saved_data["heads"].toInt(), ctx->saved_data["kv_heads"].toInt(), ctx->saved_data["head_dim"].toInt()};
    const Layout layout = layout_of(qkv, shape, saved[3], saved[4]);
    const at::Tensor dy = gradients[0].contiguous(), dqkv = at::empty_like(qkv);
    with_stored_type(qkv.scalar_type(), [&](auto type) {
      using T = decltype(type);
      const BackwardTensors<T> tensors{read<T>(qkv), read<T>(y), read<T>(dy), read<float>(log_sum_exp), write<T>(dqkv)};
      for_heads(layout.B, layout.K, [&] { return Backward<T>(layout, tensors); });
    });
    return {dqkv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor tiled_attention(const AttentionInputs& in, const AttentionShape& shape, const AttentionRule&) {
  const Rotary& rotary = in.rotary;
  invariant(!rotary.defined() || rotary.cos.scalar_type() == at::kFloat, "rotary tables are fp32");
  return TiledAttention::apply(in.q, rotary.defined() ? Rotary{rotary.cos.contiguous(), rotary.sin.contiguous()} : Rotary{}, shape);
}

}  // namespace sluice::ops
