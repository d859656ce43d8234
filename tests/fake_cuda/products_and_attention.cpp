// The operations that only CUDA has, in float64. Shapes: [B, H, T, D], K <= H heads of keys and
// values.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <limits>

#include "tests/fake_cuda/card.h"
#include "tests/fake_cuda/operations.h"

namespace sluice::fake_cuda {
namespace {

at::Tensor exact(const at::Tensor& x) {
  TORCH_CHECK(x.device() == Card::current().device(), "a tensor on ", x.device());
  return on_host(x).to(at::kDouble);
}

// bf16 operands, fp32 result.
at::Tensor& addmm_out(const at::Tensor& self, const at::Tensor& a, const at::Tensor& b,
                      at::ScalarType type, const at::Scalar& beta, const at::Scalar& alpha,
                      at::Tensor& out) {
  const c10::DeviceGuard guard(out.device());
  TORCH_CHECK(a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16 &&
                  type == at::kFloat && out.scalar_type() == type && self.scalar_type() == type,
              "addmm with out_dtype adds products of bf16 to fp32");
  Card::current().run(
      [=] { on_host(out).copy_(at::addmm(exact(self), exact(a), exact(b), beta, alpha)); });
  return out;
}

struct Attention {
  at::Tensor q, k, v, bias;
  bool causal = false;
  double scale = 1;
};

Attention attention_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const std::optional<at::Tensor>& bias, double dropout, bool causal,
                       std::optional<double> scale) {
  TORCH_CHECK(q.scalar_type() == at::kBFloat16 && k.scalar_type() == at::kBFloat16 &&
                  v.scalar_type() == at::kBFloat16 && q.size(3) % 8 == 0 && dropout == 0 &&
                  q.stride(3) == 1 && k.stride(3) == 1 && v.stride(3) == 1,
              "attention of bf16 heads whose size is a multiple of 8");
  return {.q = q,
          .k = k,
          .v = v,
          .bias = bias && bias->defined() ? *bias : at::Tensor(),
          .causal = causal,
          .scale = scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))))};
}

at::Tensor repeated(const at::Tensor& x, const Attention& a) {
  return exact(x).repeat_interleave(a.q.size(1) / x.size(1), 1);
}
at::Tensor scores(const Attention& a) {
  at::Tensor s = at::matmul(exact(a.q), repeated(a.k, a).transpose(-2, -1)) * a.scale;
  if (a.bias.defined()) s += exact(a.bias);
  if (a.causal)
    s.masked_fill_(at::ones({s.size(2), s.size(3)}, at::kBool).triu(1),
                   -std::numeric_limits<double>::infinity());
  return s;
}
// {y, log-sum-exp}; the rows of the latter are padded to a multiple of `rows`.
std::vector<at::Tensor> forward(const Attention& a, std::int64_t rows) {
  return run_on_host([=] {
    const at::Tensor s = scores(a);
    const at::Tensor sums = at::logsumexp(s, {-1}).to(at::kFloat);
    return std::vector{at::matmul(at::softmax(s, -1), repeated(a.v, a)).to(at::kBFloat16),
                       at::constant_pad_nd(sums, {0, (rows - sums.size(2) % rows) % rows},
                                           std::numeric_limits<double>::infinity())};
  });
}
std::vector<at::Tensor> backward(const Attention& a, const at::Tensor& dy, const at::Tensor& y,
                                 const at::Tensor& log_sum_exp) {
  return run_on_host([=] {
    const at::Tensor sums = exact(log_sum_exp).narrow(2, 0, a.q.size(2)).unsqueeze(-1);
    const at::Tensor p = at::exp(scores(a) - sums), g = exact(dy);
    const at::Tensor delta = (g * exact(y)).sum(-1, true);
    const at::Tensor ds = p * (at::matmul(g, repeated(a.v, a).transpose(-2, -1)) - delta) * a.scale;
    const auto by_key_head = [&](const at::Tensor& dx) {
      return dx.unflatten(1, {a.k.size(1), -1}).sum(2).to(at::kBFloat16);
    };
    return std::vector{at::matmul(ds, repeated(a.k, a)).to(at::kBFloat16),
                       by_key_head(at::matmul(ds.transpose(-2, -1), exact(a.q))),
                       by_key_head(at::matmul(p.transpose(-2, -1), g))};
  });
}

at::Tensor number() {
  return at::zeros({}, at::TensorOptions().dtype(at::kLong).device(Card::current().device()));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, c10::SymInt, c10::SymInt, at::Tensor,
           at::Tensor, at::Tensor>
flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double dropout, bool causal,
      bool, std::optional<double> scale) {
  const c10::DeviceGuard guard(q.device());
  const auto result = forward(attention_of(q, k, v, {}, dropout, causal, scale), 1);
  return {result[0], result[1], {}, {}, q.size(2), k.size(2), number(), number(), {}};
}
std::tuple<at::Tensor, at::Tensor, at::Tensor> flash_backward(
    const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& y, const at::Tensor& log_sum_exp, const at::Tensor&, const at::Tensor&,
    c10::SymInt, c10::SymInt, double dropout, bool causal, const at::Tensor&, const at::Tensor&,
    std::optional<double> scale) {
  const c10::DeviceGuard guard(q.device());
  const auto d = backward(attention_of(q, k, v, {}, dropout, causal, scale), dy, y, log_sum_exp);
  return {d[0], d[1], d[2]};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> efficient(
    const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const std::optional<at::Tensor>& bias, bool, double dropout, bool causal,
    std::optional<double> scale) {
  const c10::DeviceGuard guard(q.device());
  TORCH_CHECK(q.size(1) == k.size(1), "memory-efficient attention has one key head per query head");
  const auto result = forward(attention_of(q, k, v, bias, dropout, causal, scale), 32);
  return {result[0], result[1], number(), number()};
}
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> efficient_backward(
    const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& bias, const at::Tensor& y, const at::Tensor& log_sum_exp, const at::Tensor&,
    const at::Tensor&, double dropout, std::array<bool, 4> wanted, bool causal,
    std::optional<double> scale) {
  const c10::DeviceGuard guard(q.device());
  TORCH_CHECK(!wanted[3], "the gradient of the bias is not implemented");
  const auto d = backward(attention_of(q, k, v, bias, dropout, causal, scale), dy, y, log_sum_exp);
  return {d[0], d[1], d[2], {}};
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("addmm.dtype_out", &addmm_out);
  m.impl("_scaled_dot_product_flash_attention", &flash);
  m.impl("_scaled_dot_product_flash_attention_backward", &flash_backward);
  m.impl("_scaled_dot_product_efficient_attention", &efficient);
  m.impl("_scaled_dot_product_efficient_attention_backward", &efficient_backward);
}

}  // namespace
}  // namespace sluice::fake_cuda
