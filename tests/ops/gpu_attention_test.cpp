// The kernels around the core of GPU attention, on the host.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "ops/attention_core.h"
#include "ops/attention_forms.h"
#include "ops/gpu_relative_bias.h"
#include "ops/gpu_rotary.h"
#include "tests/gpu/nvrtc_support.h"
#include "tests/ops/attention_cases.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

using gpu::test::HostDevice;

class GpuAttention : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  Setting setting(gpu::Device& device = host_gpu()) const {
    return {.dtype = GetParam(), .gpu = &device};
  }
};

TEST_P(GpuAttention, EqualsFloat64) {
  for (const AttentionCase& s : kAttentionCases)
    expect_equals_float64(
        setting(), [&](const Setting& of) { return run_attention(s, of); },
        kAttentionGradientFactor);
}

TEST_P(GpuAttention, OverwritingTheProjectionChangesNothing) {
  for (const AttentionCase& s : kAttentionCases)
    expect_same_bits(run_attention(s, setting(), /*may_overwrite=*/true),
                     run_attention(s, setting()));
}

TEST_P(GpuAttention, TheOrderOfThreadsChangesNothing) {
  HostDevice descending(HostDevice::Order::kDescending);
  for (const AttentionCase& s : kAttentionCases)
    expect_same_bits(run_attention(s, setting(descending)), run_attention(s, setting()));
}

TEST_P(GpuAttention, CompilesForGpus) {
  HostDevice device;
  for (const AttentionCase& s : kAttentionCases) run_attention(s, setting(device));
  std::set<std::string_view> programs;
  for (const gpu::test::Launch& launch : device.launches()) programs.insert(launch.program->main);
  EXPECT_EQ(programs.count("ops/bias_gradient.cu"), GetParam() == at::kBFloat16 ? 1u : 0u);
  EXPECT_EQ(programs.count("ops/dropout_attention.cu"), 1u);
  EXPECT_EQ(programs.count("ops/rotary.cu"), 1u);
  EXPECT_EQ(programs.count("ops/relative_bias.cu"), 1u);
  gpu::test::expect_compiles_for_gpus(device.launches());
}

// Each value is a unit vector, so that the output shows the probability of every pair.
TEST_P(GpuAttention, DropoutMasksAreThoseOfTheCpu) {
  const at::Tensor unit = at::eye(16).unsqueeze(0).expand({3, 16, 16}),
                   qkv = at::cat({at::zeros({3, 16, 64}), unit}, 2).to(GetParam());
  const AttentionShape shape{3, 1, 16};
  const AttentionRule rule{.causal = true, .dropout = {0.4, dropout_site("test")}};
  const auto dropped = [&](gpu::Device* device) {
    const Context context{.gpu = device, .training = true, .seed = 4, .step = 9, .first_sample = 2};
    return attention({.q = qkv}, shape, rule, context).eq(0);
  };
  const at::Tensor got = dropped(&host_gpu());
  EXPECT_TRUE(at::equal(got, dropped(nullptr)));
  EXPECT_GT(got.sum().item<std::int64_t>(), 3 * 3 * 120);  // of 3 · 3 · 256, 120 in the future
}

TEST_P(GpuAttention, TheInputKeepsItsValueUnlessItMayBeOverwritten) {
  const Rotary rotary = Rotary::make(6, 8, 100.0, at::kCPU);
  const at::Tensor original = numbers({1, 6, 24}, 1).to(GetParam());
  const auto after = [&](bool may_overwrite) {
    const at::Tensor x = original.clone();
    attention({.q = x, .rotary = rotary, .may_overwrite = may_overwrite}, {1, 1, 8}, {},
              setting().context());
    return x;
  };
  EXPECT_TRUE(at::equal(after(false), original));
  const at::Tensor rotated = after(true);
  EXPECT_FALSE(at::equal(rotated.narrow(2, 0, 16), original.narrow(2, 0, 16)));
  EXPECT_TRUE(at::equal(rotated.narrow(2, 16, 8), original.narrow(2, 16, 8)));
}

// A core that writes its gradients to their places: only the rotation is left.
TEST_P(GpuAttention, GradientsAtTheirPlacesAreRotatedThere) {
  const Rotary rotary = Rotary::make(5, 8, 100.0, at::kCPU);
  const PackedHeads layout{.heads = 4, .head_dim = 8, .rotated = 3};
  const at::Tensor values = numbers({2, 5, 32}, 1).to(GetParam());
  const auto packed_into = [&](const at::Tensor& from, const at::Tensor& to) {
    const at::Tensor heads = from.view({2, 5, 4, 8}).transpose(1, 2);
    for (const auto& [first, count] : {std::pair{0, 2}, std::pair{2, 1}, std::pair{3, 1}})
      pack_gradient(host_gpu(), heads.narrow(1, first, count), to, layout, first, rotary);
    return to;
  };
  const at::Tensor in_place = values.clone();
  packed_into(in_place, in_place);
  EXPECT_TRUE(at::equal(in_place, packed_into(values, at::empty_like(values))));
  expect_close(rotate_heads(host_gpu(), in_place, layout, rotary, false), values,
               tolerance(GetParam()), "rotated forth and back");
}

// The core for shapes that LibTorch's GPU ops do not support; also in bf16.
TEST_P(GpuAttention, PlainProductsEqualFloat64) {
  const at::Tensor q = numbers({2, 4, 9, 5}, 1), k = numbers({2, 2, 9, 5}, 2),
                   v = numbers({2, 2, 9, 5}, 3), bias = numbers({4, 9, 16}, 4).narrow(2, 0, 9),
                   dy = numbers({2, 9, 4, 5}, 5);
  const auto in_dtype = [&](at::ScalarType type) {
    const auto of = [&](const at::Tensor& x) { return x.to(type).set_requires_grad(true); };
    return CoreInputs{{of(q), of(k), of(v)}, of(bias), /*causal=*/true, 0.7};
  };
  const CoreInputs exact = in_dtype(at::kDouble), in = in_dtype(GetParam());
  const auto repeated = [](const at::Tensor& x) { return x.repeat_interleave(2, 1); };
  const at::Tensor future = at::ones({9, 9}, at::kBool).triu(1);
  const at::Tensor scores =
      (at::matmul(exact.heads.q, repeated(exact.heads.k).transpose(-2, -1)) * 0.7 + exact.bias_HTS)
          .masked_fill(future, -INFINITY);
  const at::Tensor want =
      at::matmul(at::softmax(scores, -1), repeated(exact.heads.v)).transpose(1, 2);
  want.backward(dy);

  const at::NoGradGuard guard;
  const CoreResult got = plain_core().forward(in);
  expect_close(got.y_BTHD, want, tolerance(GetParam()), "output");
  expect_close(got.log_sum_exp_BHT, at::logsumexp(scores, -1), tolerance(at::kFloat),
               "log-sum-exp");
  const Heads d = plain_core().backward(in, got, dy.to(GetParam()), {});
  const double allowed = 2 * tolerance(GetParam());
  expect_close(d.q, exact.heads.q.grad(), allowed, "dq");
  expect_close(d.k, exact.heads.k.grad(), allowed, "dk");
  expect_close(d.v, exact.heads.v.grad(), allowed, "dv");
}

INSTANTIATE_TEST_SUITE_P(All, GpuAttention, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const ::testing::TestParamInfo<at::ScalarType>& of) {
                           return std::string(of.param == at::kFloat ? "fp32" : "bf16");
                         });

// --- The bias gradient alone

struct BiasSizes {
  std::int64_t batch, queries, keys, heads, kv_heads, head_dim;
  bool causal;
};

// Inputs as attention passes them, with padded rows of the log-sum-exp.
struct BiasCase {
  CoreInputs in;
  CoreResult result;
  at::Tensor dy;
};

BiasCase bias_case(const BiasSizes& s, at::ScalarType type) {
  const auto packed = [&](std::int64_t length, std::int64_t heads, std::uint64_t seed) {
    return numbers({s.batch, length, heads, s.head_dim}, seed, 0.5).to(type).transpose(1, 2);
  };
  const at::Tensor q = packed(s.queries, s.heads, 1), kv = packed(s.keys, 2 * s.kv_heads, 2);
  BiasCase c;
  c.in = {{q, kv.narrow(1, 0, s.kv_heads), kv.narrow(1, s.kv_heads, s.kv_heads)},
          expand_bias(host_gpu(), numbers({s.heads, s.queries + s.keys - 1}, 3).to(at::kFloat),
                      s.queries, type),
          s.causal,
          0.6};
  c.result = plain_core().forward(c.in);
  const at::Tensor rows = at::full({s.batch, s.heads, s.queries + 5}, 1e9);
  rows.narrow(2, 0, s.queries).copy_(c.result.log_sum_exp_BHT);
  c.result.log_sum_exp_BHT = rows.narrow(2, 0, s.queries);
  c.dy = numbers({s.batch, s.queries, s.heads, s.head_dim}, 5).to(type);
  return c;
}

// From the definition, in float64 but with the rounded output.
at::Tensor bias_gradient_float64(const BiasCase& c) {
  const auto exact = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const auto& [q, k, v] = c.in.heads;
  const std::int64_t group = q.size(1) / k.size(1), T = q.size(2), S = k.size(2);
  const at::Tensor dy = exact(c.dy).transpose(1, 2), y = exact(c.result.y_BTHD).transpose(1, 2);
  at::Tensor scores =
      at::matmul(exact(q), exact(k).repeat_interleave(group, 1).transpose(-2, -1)) * c.in.scale +
      exact(c.in.bias_HTS);
  if (c.in.causal) scores.masked_fill_(at::ones({T, S}, at::kBool).triu(1), -INFINITY);
  const at::Tensor p = at::softmax(scores, -1),
                   dp = at::matmul(dy, exact(v).repeat_interleave(group, 1).transpose(-2, -1)),
                   ds_HTS = (p * (dp - (y * dy).sum(-1, true))).sum(0);
  at::Tensor want = at::zeros({q.size(1), T + S - 1}, at::kDouble);
  for (std::int64_t t = 0; t < T; ++t) want.narrow(1, T - 1 - t, S).add_(ds_HTS.select(1, t));
  return want;
}

// Ragged and whole tiles, fewer and more keys than queries, a single query, several sequences per
// block and blocks without one, grouped queries.
constexpr BiasSizes kBiasSizes[] = {
    {3, 70, 70, 2, 2, 64, false},  {2, 130, 130, 1, 1, 64, true}, {1, 64, 64, 2, 1, 64, false},
    {2, 10, 90, 1, 1, 64, false},  {1, 90, 10, 1, 1, 64, false},  {5, 1, 7, 2, 2, 64, false},
    {2, 64, 128, 1, 1, 64, false}, {2, 33, 33, 2, 1, 24, true},   {1, 20, 35, 1, 1, 5, false},
    {70, 3, 3, 16, 8, 64, true},
};

TEST(BiasGradient, EqualsFloat64) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const BiasSizes& s : kBiasSizes) {
      const BiasCase c = bias_case(s, type);
      const at::Tensor got = bias_gradient(host_gpu(), c.in, c.result, c.dy);
      EXPECT_EQ(got.scalar_type(), at::kFloat);
      // Sums of fp32 numbers in both cases; exp(x) has the error of x.
      expect_close(got, bias_gradient_float64(c), 4 * tolerance(at::kFloat),
                   std::to_string(s.queries) + " x " + std::to_string(s.keys) + " of " +
                       std::to_string(s.head_dim));
    }
}

// Its probability is 1 whatever the bias.
TEST(BiasGradient, OfASingleKeyIsZero) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const BiasCase c = bias_case({5, 1, 1, 2, 2, 64, true}, type);
    const at::Tensor got = bias_gradient(host_gpu(), c.in, c.result, c.dy);
    EXPECT_LT(got.abs().max().item<float>(), 1e-5);
  }
}

TEST(BiasGradient, TheOrderOfThreadsChangesNothing) {
  HostDevice descending(HostDevice::Order::kDescending);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const BiasSizes& s : {kBiasSizes[0], kBiasSizes[1], kBiasSizes[7]}) {
      const BiasCase c = bias_case(s, type);
      EXPECT_TRUE(at::equal(bias_gradient(host_gpu(), c.in, c.result, c.dy),
                            bias_gradient(descending, c.in, c.result, c.dy)));
    }
}

TEST(BiasGradient, RowsOfTheMaskArePadded) {
  const at::Tensor bias = at::arange(1, 10, at::kFloat).view({1, 9});  // 4 queries, 6 keys
  const at::Tensor mask = expand_bias(host_gpu(), bias, 4, at::kBFloat16);
  EXPECT_EQ(mask.sizes(), (std::vector<std::int64_t>{1, 4, 6}));
  EXPECT_EQ(mask.stride(1), 8);
  for (std::int64_t t = 0; t < 4; ++t)
    for (std::int64_t s = 0; s < 6; ++s)
      EXPECT_EQ(mask[0][t][s].item<float>(), static_cast<float>(s - t + 4)) << t << " " << s;
}

}  // namespace
}  // namespace sluice::ops::test
