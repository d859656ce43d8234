// Shapes: see ops/attention_core.h; G = H/K query heads per key head.
#include "ops/attention_core.h"

#include <ATen/ATen.h>

#include <condition_variable>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "ops/cudnn_attention.h"

namespace sluice::ops {
namespace {

// LibTorch's backward ops sum in an order that varies from run to run unless asked not to. With
// warn_only they keep that order. The flags belong to the process: threads that want the same value
// share it, others wait.
class DeterministicAlgorithms {
 public:
  explicit DeterministicAlgorithms(bool enabled) {
    State& s = state();
    std::unique_lock lock(s.mutex);
    s.changed.wait(lock, [&] { return s.num_users == 0 || s.enabled == enabled; });
    if (s.num_users++ > 0) return;
    s.enabled = enabled;
    s.before = {.enabled = at::globalContext().deterministicAlgorithms(),
                .warn_only = at::globalContext().deterministicAlgorithmsWarnOnly(),
                .fill = at::globalContext().deterministicFillUninitializedMemory()};
    set({.enabled = enabled, .warn_only = false, .fill = false});
  }
  DeterministicAlgorithms(const DeterministicAlgorithms&) = delete;
  ~DeterministicAlgorithms() {
    State& s = state();
    {
      const std::lock_guard lock(s.mutex);
      if (--s.num_users > 0) return;
      set(s.before);
    }
    s.changed.notify_all();
  }

 private:
  struct Flags {
    bool enabled = false, warn_only = false, fill = false;
  };
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int num_users = 0;
    bool enabled = false;
    Flags before;
  };
  static State& state() {
    static State the_state;
    return the_state;
  }
  static void set(const Flags& flags) {
    at::globalContext().setDeterministicAlgorithms(flags.enabled, flags.warn_only);
    at::globalContext().setDeterministicFillUninitializedMemory(flags.fill);
  }
};

std::int64_t group_size(const Heads& heads) { return heads.q.size(1) / heads.k.size(1); }

// [B, K, S, D] -> [B, H, S, D], for ops without grouped queries.
at::Tensor repeat_heads(const at::Tensor& x, std::int64_t group) {
  if (group == 1) return x;
  return x.unsqueeze(2).expand({-1, -1, group, -1, -1}).flatten(1, 2);
}
// Its gradient.
at::Tensor sum_heads(const at::Tensor& dx, std::int64_t group) {
  return group == 1 ? dx : dx.unflatten(1, {-1, group}).sum(2);
}

at::Tensor in_rows(const at::Tensor& y_BHTD) { return y_BHTD.transpose(1, 2).contiguous(); }

std::optional<at::Tensor> mask_of(const CoreInputs& in) {
  if (!in.bias_HTS.defined()) return std::nullopt;
  return in.bias_HTS.unsqueeze(0).expand({in.heads.q.size(0), -1, -1, -1});
}

// FlashAttention-2 for GPUs: bf16, no bias. Rounds dK and dV of each query head.
class FlashCore final : public AttentionCore {
 public:
  CoreResult forward(const CoreInputs& in) const override {
    const auto& [q, k, v] = in.heads;
    const auto result = at::_scaled_dot_product_flash_attention(
        q, k, v, 0.0, in.causal, /*return_debug_mask=*/false, in.scale);
    return {in_rows(std::get<0>(result)),
            std::get<1>(result),
            {std::get<6>(result), std::get<7>(result)}};
  }
  Heads backward(const CoreInputs& in, const CoreResult& result, const at::Tensor& dy_BTHD,
                 const Heads&) const override {
    const auto& [q, k, v] = in.heads;
    const DeterministicAlgorithms guard(in.deterministic);
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_backward(
        dy_BTHD.transpose(1, 2), q, k, v, result.y_BTHD.transpose(1, 2), result.log_sum_exp_BHT, {},
        {}, q.size(2), k.size(2), 0.0, in.causal, result.state[0], result.state[1], in.scale);
    return {dq, dk, dv};
  }
};

// LibTorch's memory-efficient attention for GPUs: bf16, with a bias. Its log-sum-exp has padded
// rows.
class EfficientCore final : public AttentionCore {
 public:
  CoreResult forward(const CoreInputs& in) const override {
    const auto& [q, k, v] = in.heads;
    const std::int64_t group = group_size(in.heads);
    const auto [y, log_sum_exp, seed, offset] = at::_scaled_dot_product_efficient_attention(
        q, repeat_heads(k, group), repeat_heads(v, group), mask_of(in),
        /*compute_log_sumexp=*/true, 0.0, in.causal, in.scale);
    return {in_rows(y), log_sum_exp, {seed, offset}};
  }
  Heads backward(const CoreInputs& in, const CoreResult& result, const at::Tensor& dy_BTHD,
                 const Heads&) const override {
    const auto& [q, k, v] = in.heads;
    const std::int64_t group = group_size(in.heads);
    const DeterministicAlgorithms guard(in.deterministic);
    const auto gradients = at::_scaled_dot_product_efficient_attention_backward(
        dy_BTHD.transpose(1, 2), q, repeat_heads(k, group), repeat_heads(v, group),
        mask_of(in).value_or(at::Tensor()), result.y_BTHD.transpose(1, 2), result.log_sum_exp_BHT,
        result.state[0], result.state[1], 0.0, {true, true, true, false}, in.causal, in.scale);
    return {std::get<0>(gradients), sum_heads(std::get<1>(gradients), group),
            sum_heads(std::get<2>(gradients), group)};
  }
};

// One product per sequence and key head: the query heads that share a key head are rows of one
// matrix.
class PlainCore final : public AttentionCore {
 public:
  CoreResult forward(const CoreInputs& in) const override {
    const auto& [q, k, v] = in.heads;
    at::Tensor scores = scores_of(in);
    const at::Tensor log_sum_exp = at::logsumexp(scores, -1, /*keepdim=*/true);
    scores.sub_(log_sum_exp).exp_();
    const at::Tensor y = at::matmul(scores, v.to(at::kFloat)).view(q.sizes());
    return {in_rows(y).to(q.scalar_type()), log_sum_exp.view(q.sizes().slice(0, 3)), {}};
  }
  Heads backward(const CoreInputs& in, const CoreResult& result, const at::Tensor& dy_BTHD,
                 const Heads&) const override {
    const auto& [q, k, v] = in.heads;
    const at::Tensor y = grouped_rows(result.y_BTHD.transpose(1, 2), in),
                     dy = grouped_rows(dy_BTHD.transpose(1, 2), in);
    const at::Tensor p = scores_of(in);
    p.sub_(result.log_sum_exp_BHT.view({p.size(0), p.size(1), -1, 1})).exp_();
    at::Tensor dscores = at::matmul(dy, v.to(at::kFloat).transpose(-2, -1));
    dscores.sub_((y * dy).sum(-1, /*keepdim=*/true)).mul_(p).mul_(in.scale);
    const auto finished = [&](const at::Tensor& x, const at::Tensor& like) {
      return x.view(like.sizes()).to(like.scalar_type());
    };
    return {finished(at::matmul(dscores, k.to(at::kFloat)), q),
            finished(at::matmul(dscores.transpose(-2, -1), grouped_rows(q, in)), k),
            finished(at::matmul(p.transpose(-2, -1), dy), v)};
  }

 private:
  // [B, K, G·T, S].
  static at::Tensor scores_of(const CoreInputs& in) {
    const auto& [q, k, v] = in.heads;
    const std::int64_t H = q.size(1), T = q.size(2), S = k.size(2);
    at::Tensor scores =
        at::matmul(grouped_rows(q, in), k.to(at::kFloat).transpose(-2, -1)).mul_(in.scale);
    const at::Tensor by_head = scores.view({-1, H, T, S});
    if (in.bias_HTS.defined()) by_head.add_(in.bias_HTS);
    if (in.causal)
      by_head.masked_fill_(at::ones({T, S}, q.options().dtype(at::kBool)).triu(1),
                           -std::numeric_limits<double>::infinity());
    return scores;
  }
};

}  // namespace

at::Tensor grouped_rows(const at::Tensor& x, const CoreInputs& in) {
  return x.to(at::kFloat).reshape({x.size(0), in.heads.k.size(1), -1, x.size(3)});
}

const AttentionCore& plain_core() {
  static const PlainCore core;
  return core;
}

CoreKind core_kind(const CoreTraits& t) {
  if (t.type != at::kBFloat16) return CoreKind::kPlain;
  if (t.has_cudnn && cudnn_takes_head_dim(t.head_dim)) return CoreKind::kCudnn;
  if (t.device != at::kCUDA || t.head_dim % 8 != 0 || t.head_dim > 256) return CoreKind::kPlain;
  return t.has_bias ? CoreKind::kEfficient : CoreKind::kFlash;
}

const AttentionCore& core_for(const CoreInputs& in) {
  static const FlashCore flash;
  static const EfficientCore efficient;
  const at::Tensor& q = in.heads.q;
  // Only for training: inference has many lengths, each of which would have to be planned.
  const CudnnAttention* cudnn = in.with_gradient ? cudnn_attention(q.device()) : nullptr;
  if (cudnn != nullptr && cudnn->accepts(in)) return *cudnn;
  switch (core_kind({.device = q.device().type(),
                     .type = q.scalar_type(),
                     .head_dim = q.size(3),
                     .has_bias = in.bias_HTS.defined()})) {
    case CoreKind::kFlash:
      return flash;
    case CoreKind::kEfficient:
      return efficient;
    default:
      return plain_core();
  }
}

}  // namespace sluice::ops
