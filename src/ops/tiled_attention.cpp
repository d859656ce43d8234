// Attention in tiles of 64 queries × 64 keys. Causal attention skips tiles above the diagonal, and
// scores stay in cache. Forward saves the log-sum-exp of each query, from which backward recomputes
// the probabilities (Dao et al. 2022).
//
// Shapes: see ops/tiled_attention_passes.h.
#include "ops/tiled_attention_passes.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "ops/attention_forms.h"
#include "ops/choose.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Settings {
  AttentionShape shape;
  bool causal;
  double divisor;
};

// Contiguous inputs. If q, k and v are packed in one tensor, kv is q.
struct Inputs {
  at::Tensor q, kv, cos, sin, bias_HR;
  bool packed() const { return q.is_same(kv); }
};

AttentionLayout layout_of(const Inputs& in, const Settings& settings) {
  const AttentionShape& shape = settings.shape;
  const std::int64_t key_column = in.packed() ? shape.query_columns() : 0;
  return {.B = in.q.size(0),
          .T = in.q.size(1),
          .S = in.kv.size(1),
          .H = shape.num_heads,
          .K = shape.num_kv_heads,
          .D = shape.head_dim,
          .q_stride = in.q.size(2),
          .kv_stride = in.kv.size(2),
          .key_column = key_column,
          .value_column = key_column + shape.num_kv_heads * shape.head_dim,
          .causal = settings.causal,
          .scale = 1.0f / static_cast<float>(settings.divisor),
          .cos = in.cos.defined() ? read<float>(in.cos) : nullptr,
          .sin = in.sin.defined() ? read<float>(in.sin) : nullptr,
          .bias = in.bias_HR.defined() ? read<float>(in.bias_HR) : nullptr};
}

// Calls worker.head(sequence, head) for all pairs, with one worker per task of a thread.
template <typename MakeWorker>
void for_heads(std::int64_t batch, std::int64_t heads, const MakeWorker& make_worker) {
  at::parallel_for(0, batch * heads, 1, [&](std::int64_t begin, std::int64_t end) {
    auto worker = make_worker();
    for (std::int64_t i = begin; i < end; ++i) worker.head(i / heads, i % heads);
    end_tile_products();
  });
}

// The sum over sequences, in order: [B, H, R] -> [H, R].
at::Tensor sum_of_sequences(const at::Tensor& dbias_BHR) {
  at::Tensor sum = dbias_BHR[0].clone();
  for (std::int64_t b = 1; b < dbias_BHR.size(0); ++b) sum.add_(dbias_BHR[b]);
  return sum;
}

struct TiledAttention : torch::autograd::Function<TiledAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q,
                            const std::optional<at::Tensor>& kv,
                            const std::optional<at::Tensor>& bias_HR, const Rotary& rotary,
                            const Settings& settings) {
    Inputs in{.q = q.contiguous(), .cos = rotary.cos, .sin = rotary.sin};
    in.kv = kv ? kv->contiguous() : in.q;
    if (bias_HR) in.bias_HR = bias_HR->contiguous();
    const AttentionLayout layout = layout_of(in, settings);
    const at::Tensor y = at::empty({layout.B, layout.T, layout.H * layout.D}, in.q.options());
    const at::Tensor log_sum_exp = at::empty({layout.B, layout.H, layout.query_tiles() * kTile},
                                             in.q.options().dtype(at::kFloat));
    with_stored_type(in.q.scalar_type(), [&](auto type) {
      using T = decltype(type);
      const typename AttentionForward<T>::Tensors tensors{read<T>(in.q), read<T>(in.kv),
                                                          write<T>(y), write<float>(log_sum_exp)};
      for_heads(layout.B, layout.H, [&] { return AttentionForward<T>(layout, tensors); });
    });
    ctx->save_for_backward(
        {in.q, kv ? in.kv : at::Tensor(), y, log_sum_exp, in.cos, in.sin, in.bias_HR});
    ctx->saved_data["heads"] = settings.shape.num_heads;
    ctx->saved_data["kv_heads"] = settings.shape.num_kv_heads;
    ctx->saved_data["head_dim"] = settings.shape.head_dim;
    ctx->saved_data["causal"] = settings.causal;
    ctx->saved_data["divisor"] = settings.divisor;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const Settings settings{{ctx->saved_data["heads"].toInt(), ctx->saved_data["kv_heads"].toInt(),
                             ctx->saved_data["head_dim"].toInt()},
                            ctx->saved_data["causal"].toBool(),
                            ctx->saved_data["divisor"].toDouble()};
    const bool packed = !saved[1].defined();
    const Inputs in{saved[0], packed ? saved[0] : saved[1], saved[4], saved[5], saved[6]};
    const at::Tensor &y = saved[2], &log_sum_exp = saved[3], dy = gradients[0].contiguous();
    const AttentionLayout layout = layout_of(in, settings);
    const at::Tensor dq = at::empty_like(in.q), dkv = packed ? dq : at::empty_like(in.kv);
    const at::Tensor dbias_BHR =
        layout.bias ? at::empty({layout.B, layout.H, layout.num_distances()}, in.bias_HR.options())
                    : at::Tensor();
    with_stored_type(in.q.scalar_type(), [&](auto type) {
      using T = decltype(type);
      const typename AttentionBackward<T>::Tensors tensors{
          read<T>(in.q),
          read<T>(in.kv),
          read<T>(y),
          read<T>(dy),
          read<float>(log_sum_exp),
          write<T>(dq),
          write<T>(dkv),
          layout.bias ? write<float>(dbias_BHR) : nullptr};
      for_heads(layout.B, layout.K, [&] { return AttentionBackward<T>(layout, tensors); });
    });
    return {dq, packed ? at::Tensor() : dkv,
            layout.bias ? sum_of_sequences(dbias_BHR) : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor tiled_attention(const AttentionInputs& in, const AttentionShape& shape,
                           const AttentionRule& rule) {
  const Rotary& rotary = in.rotary;
  invariant(!rotary.defined() || rotary.cos.scalar_type() == at::kFloat, "rotary tables are fp32");
  invariant(!in.bias_HR.defined() || in.bias_HR.scalar_type() == at::kFloat,
            "a relative bias is fp32");
  return TiledAttention::apply(
      in.q, if_defined(in.kv), if_defined(in.bias_HR),
      rotary.defined() ? Rotary{rotary.cos.contiguous(), rotary.sin.contiguous()} : Rotary{},
      Settings{shape, rule.causal, rule.divisor});
}

}  // namespace sluice::ops
