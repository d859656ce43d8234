// Shapes: see ops/attention_core.h.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "base/error.h"
#include "ops/attention_core.h"
#include "ops/attention_forms.h"
#include "ops/choose.h"
#include "ops/gpu_dropout_attention.h"
#include "ops/gpu_relative_bias.h"
#include "ops/gpu_rotary.h"
#include "ops/packed_heads.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GpuSettings {
  AttentionShape shape;
  bool causal, may_overwrite, with_gradient, deterministic;
  double divisor;
  AttentionDropout dropout;
  gpu::Device* device;
};

// The packed tensors: kv is undefined for self-attention, where q holds all heads.
struct Packed {
  at::Tensor q, kv;
  bool is_one() const { return !kv.defined(); }
};

Heads packed_heads(const Packed& packed, const AttentionShape& shape) {
  const HeadViews heads = heads_of(packed.q, packed.kv, shape);
  return {heads.q.transpose(1, 2), heads.k.transpose(1, 2), heads.v.transpose(1, 2)};
}

PackedHeads layout_of_q(const Packed& packed, const AttentionShape& shape, bool rotates) {
  const std::int64_t H = shape.num_heads, K = shape.num_kv_heads;
  return {.heads = packed.is_one() ? H + 2 * K : H,
          .head_dim = shape.head_dim,
          .rotated = !rotates          ? 0
                     : packed.is_one() ? H + K
                                       : H};
}
PackedHeads layout_of_kv(const AttentionShape& shape, bool rotates) {
  return {.heads = 2 * shape.num_kv_heads,
          .head_dim = shape.head_dim,
          .rotated = rotates ? shape.num_kv_heads : 0};
}

// The packed tensors with rotated queries and keys.
Packed rotate(const at::Tensor& q, const std::optional<at::Tensor>& kv, const Rotary& rotary,
              const GpuSettings& s) {
  const auto rotated = [&](const at::Tensor& x, const PackedHeads& layout) {
    const at::Tensor row_major = x.contiguous();
    const bool in_place = s.may_overwrite || !row_major.is_same(x);
    return rotate_heads(*s.device, row_major, layout, rotary, in_place);
  };
  const Packed packed{q, kv ? *kv : at::Tensor()};
  return {rotated(q, layout_of_q(packed, s.shape, rotary.defined())),
          kv ? rotated(*kv, layout_of_kv(s.shape, rotary.defined())) : at::Tensor()};
}

// Moves the gradients of q, k and v to their places in `gradient`, rotated back.
void pack_gradients(const Heads& d, const Packed& gradient, const Rotary& rotary,
                    const GpuSettings& s) {
  const bool rotates = rotary.defined();
  const std::int64_t H = s.shape.num_heads, K = s.shape.num_kv_heads;
  const PackedHeads of_q = layout_of_q(gradient, s.shape, rotates),
                    of_kv = gradient.is_one() ? of_q : layout_of_kv(s.shape, rotates);
  const at::Tensor& d_kv = gradient.is_one() ? gradient.q : gradient.kv;
  const std::int64_t first_key = gradient.is_one() ? H : 0;
  pack_gradient(*s.device, d.q, gradient.q, of_q, 0, rotary);
  pack_gradient(*s.device, d.k, d_kv, of_kv, first_key, rotary);
  pack_gradient(*s.device, d.v, d_kv, of_kv, first_key + K, rotary);
}

struct GpuAttention : torch::autograd::Function<GpuAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q,
                            const std::optional<at::Tensor>& kv,
                            const std::optional<at::Tensor>& bias_HR, const Rotary& rotary,
                            const GpuSettings& s) {
    const Packed packed = rotate(q, kv, rotary, s);
    CoreInputs in{.heads = packed_heads(packed, s.shape),
                  .causal = s.causal,
                  .scale = 1 / s.divisor,
                  .deterministic = s.deterministic,
                  .with_gradient = s.with_gradient};
    if (bias_HR)
      in.bias_HTS = expand_bias(*s.device, bias_HR->contiguous(), q.size(1), q.scalar_type());
    const CoreResult result = s.dropout.keys_B.defined()
                                  ? dropout_attention(*s.device, in, s.dropout)
                                  : core_for(in).forward(in);
    const at::Tensor y =
        at::_unsafe_view(result.y_BTHD, {q.size(0), q.size(1), s.shape.query_columns()});
    ctx->save_for_backward({packed.q, packed.kv, y, result.log_sum_exp_BHT, rotary.cos, rotary.sin,
                            in.bias_HTS, result.state[0], result.state[1], s.dropout.keys_B});
    ctx->saved_data["heads"] = s.shape.num_heads;
    ctx->saved_data["kv_heads"] = s.shape.num_kv_heads;
    ctx->saved_data["head_dim"] = s.shape.head_dim;
    ctx->saved_data["causal"] = s.causal;
    ctx->saved_data["deterministic"] = s.deterministic;
    ctx->saved_data["divisor"] = s.divisor;
    ctx->saved_data["threshold"] = static_cast<std::int64_t>(s.dropout.mask.threshold);
    ctx->saved_data["keep_scale"] = s.dropout.mask.keep_scale;
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(s.device);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const auto number = [&](const char* name) { return ctx->saved_data[name].toInt(); };
    const GpuSettings s{.shape = {number("heads"), number("kv_heads"), number("head_dim")},
                        .causal = ctx->saved_data["causal"].toBool(),
                        .deterministic = ctx->saved_data["deterministic"].toBool(),
                        .divisor = ctx->saved_data["divisor"].toDouble(),
                        .dropout = {saved[9],
                                    {static_cast<std::uint32_t>(number("threshold")),
                                     ctx->saved_data["keep_scale"].toDouble()}},
                        .device = reinterpret_cast<gpu::Device*>(number("device"))};
    const Packed packed{saved[0], saved[1]};
    const CoreInputs in{.heads = packed_heads(packed, s.shape),
                        .bias_HTS = saved[6],
                        .causal = s.causal,
                        .scale = 1 / s.divisor,
                        .deterministic = s.deterministic,
                        .with_gradient = true};
    const auto by_head = [&](const at::Tensor& x) {
      return x.contiguous().view({x.size(0), x.size(1), s.shape.num_heads, s.shape.head_dim});
    };
    const CoreResult result{by_head(saved[2]), saved[3], {saved[7], saved[8]}};
    const at::Tensor dy_BTHD = by_head(gradients[0]);
    const Packed d{at::empty_like(packed.q),
                   packed.is_one() ? at::Tensor() : at::empty_like(packed.kv)};
    DropoutAttentionGradients of_core;
    if (s.dropout.keys_B.defined()) {
      of_core = dropout_attention_gradients(*s.device, in, result, dy_BTHD, s.dropout);
    } else {
      of_core.heads = core_for(in).backward(in, result, dy_BTHD, packed_heads(d, s.shape));
      if (in.bias_HTS.defined()) of_core.dbias_HR = bias_gradient(*s.device, in, result, dy_BTHD);
    }
    pack_gradients(of_core.heads, d, {saved[4], saved[5]}, s);
    return {d.q, d.kv, of_core.dbias_HR, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor gpu_attention(const AttentionInputs& in, const AttentionShape& shape,
                         const AttentionRule& rule, const Context& context) {
  const Rotary& rotary = in.rotary;
  invariant(!rotary.defined() || rotary.cos.scalar_type() == at::kFloat, "rotary tables are fp32");
  invariant(!in.bias_HR.defined() || in.bias_HR.scalar_type() == at::kFloat,
            "a relative bias is fp32");
  const auto has_gradient = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  const bool with_gradient =
      at::GradMode::is_enabled() &&
      (has_gradient(in.q) || has_gradient(in.kv) || has_gradient(in.bias_HR));
  const at::Tensor keys_B = rule.dropout.active(context)
                                ? gpu_dropout_keys(in.q.size(0), rule.dropout.site, context, in.q)
                                : at::Tensor();
  return GpuAttention::apply(
      in.q, if_defined(in.kv), if_defined(in.bias_HR),
      rotary.defined() ? Rotary{rotary.cos.contiguous(), rotary.sin.contiguous()} : Rotary{},
      GpuSettings{shape,
                  rule.causal,
                  in.may_overwrite,
                  with_gradient,
                  context.deterministic,
                  rule.divisor,
                  {keys_B, dropout_mask(rule.dropout.probability)},
                  context.gpu});
}

}  // namespace sluice::ops
