// Shapes: B sequences, T positions, H query heads, K key and value heads, E head_dim.
#include "nn/attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "base/error.h"
#include "tests/nn/module_support.h"

namespace sluice::nn::test {
namespace {

using ops::test::Setting;

constexpr std::int64_t B = 2, T = 5, kWidth = 6;
constexpr double kTheta = 100;

struct Heads {
  std::int64_t H, K, E;
};

AttentionConfig causal(const ops::AttentionShape& shape, bool bias) {
  const double divisor = std::sqrt(static_cast<double>(shape.head_dim));
  return {.shape = shape,
          .d_model = kWidth,
          .bias = bias,
          .rule = {.causal = true, .divisor = divisor}};
}

// Head `head` of row (b, t), rotated by its position if `rope` (Su et al. 2021, half-split).
Array head_of(const Array& rows, std::int64_t num_heads, std::int64_t row, std::int64_t head,
              std::int64_t E, bool rope) {
  Array x(rows.begin() + (row * num_heads + head) * E,
          rows.begin() + (row * num_heads + head + 1) * E);
  if (!rope) return x;
  const Array plain = x;
  for (std::int64_t i = 0; i < E / 2; ++i) {
    const double angle = static_cast<double>(row % T) *
                         std::pow(kTheta, -2.0 * static_cast<double>(i) / static_cast<double>(E));
    const std::size_t first = static_cast<std::size_t>(i),
                      second = static_cast<std::size_t>(i + E / 2);
    x[first] = plain[first] * std::cos(angle) - plain[second] * std::sin(angle);
    x[second] = plain[second] * std::cos(angle) + plain[first] * std::sin(angle);
  }
  return x;
}

double dot(const Array& a, const Array& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Vaswani et al. 2017, eq. 1, one query at a time; query head h uses key head h / (H / K) (Ainslie
// et al. 2023).
Array formula(const Heads& s, const Arrays& p, bool bias, bool rope) {
  const auto projected = [&](const std::string& n) {
    return product(p.at("x"), p.at("a." + n + ".weight"), bias ? p.at("a." + n + ".bias") : Array{},
                   kWidth);
  };
  const Array q = projected("q"), k = projected("k"), v = projected("v");
  Array mixed(static_cast<std::size_t>(B * T * s.H * s.E));
  for (std::int64_t row = 0; row < B * T; ++row) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const std::int64_t first = row / T * T, shared = h / (s.H / s.K);
      const Array query = head_of(q, s.H, row, h, s.E, rope);
      Array weights;
      double sum = 0;
      for (std::int64_t j = first; j <= row; ++j) {
        weights.push_back(std::exp(dot(query, head_of(k, s.K, j, shared, s.E, rope)) /
                                   std::sqrt(static_cast<double>(s.E))));
        sum += weights.back();
      }
      for (std::int64_t j = first; j <= row; ++j) {
        const Array value = head_of(v, s.K, j, shared, s.E, false);
        for (std::int64_t e = 0; e < s.E; ++e)
          mixed[(row * s.H + h) * s.E + e] += weights[j - first] / sum * value[e];
      }
    }
  }
  return product(mixed, p.at("a.o.weight"), bias ? p.at("a.o.bias") : Array{}, s.H * s.E);
}

class Attentions : public ::testing::TestWithParam<Setting> {
 protected:
  ops::Rotary rotary(bool rope, std::int64_t E) const {
    return rope ? ops::Rotary::make(T, E, kTheta, GetParam().device) : ops::Rotary{};
  }
};

TEST_P(Attentions, EqualTheFormulaInValuesAndGradients) {
  for (const Heads& s : {Heads{2, 2, 4}, Heads{4, 2, 2}, Heads{3, 1, 4}}) {
    for (const bool bias : {false, true}) {
      const bool rope = s.K != s.H || bias;
      SCOPED_TRACE(testing::Message() << s.H << "/" << s.K << " of " << s.E << ", bias " << bias);
      ops::Parameters parameters;
      const Attention attention(parameters, "a", causal({s.H, s.K, s.E}, bias), {});
      fill(parameters, GetParam(), 0.5);
      const at::Tensor x =
          ops::test::leaf(ops::test::numbers({B, T, kWidth}, 1), GetParam(), GetParam().dtype);
      const at::Tensor y =
          attention.forward(x, {.rotary = rotary(rope, s.E)}, GetParam().context());
      const Array upstream = array_of(ops::test::numbers({B * T, kWidth}, 2));
      y.backward(at::tensor(upstream, at::kDouble).view(y.sizes()).to(y.options()));
      Arrays inputs = values_of(parameters), got = gradients_of(parameters);
      inputs["x"] = array_of(x);
      got["x"] = array_of(x.grad());
      const double allowed = tolerance(GetParam().dtype);
      expect_close(array_of(y), formula(s, inputs, bias, rope), allowed, "output");
      const auto want = finite_difference_gradients(
          [&](const Arrays& p) { return dot(upstream, formula(s, p, bias, rope)); }, inputs);
      // A key bias shifts all scores of a query equally: without rope its gradient is only
      // rounding.
      // LibTorch's core rounds more often: 4 times against 2, see tests/ops/attention_test.cpp.
      const double allowed_gradient = (GetParam().has_library_attention() ? 2 : 1) * allowed;
      for (const auto& [name, elements] : want) {
        if (name != "a.k.bias" || rope)
          expect_close(got.at(name), elements, allowed_gradient, name);
      }
    }
  }
}

TEST_P(Attentions, GroupedQueriesEqualFullAttentionWithRepeatedHeads) {
  ops::Parameters few, full;
  const Attention grouped(few, "a", causal({4, 2, 4}, true), {}),
      repeated(full, "a", causal({4, 4, 4}, true), {});
  fill(few, GetParam(), 0.5);
  fill(full, GetParam(), 0.5);
  {
    const at::NoGradGuard no_grad;
    for (const auto& to : full.named()) {
      for (const auto& from : few.named()) {
        if (to.spec->name != from.spec->name) continue;
        const bool shared = from.value.size(0) != to.value.size(0);
        to.value.copy_(shared
                           ? from.value.unflatten(0, {2, 4}).repeat_interleave(2, 0).flatten(0, 1)
                           : from.value);
      }
    }
    full.refresh_compute();
  }
  const at::Tensor x =
      ops::test::numbers({B, T, kWidth}, 1).to(GetParam().dtype).to(GetParam().device);
  const at::Tensor got = grouped.forward(x, {.rotary = rotary(true, 4)}, GetParam().context());
  ops::test::expect_close(got,
                          repeated.forward(x, {.rotary = rotary(true, 4)}, GetParam().context()),
                          tolerance(GetParam().dtype), "output");
}

// Cross-attention to its own input equals self-attention without a causal mask: the same matrices,
// packed differently.
TEST_P(Attentions, CrossAttentionOnItsOwnInputIsSelfAttention) {
  for (const bool bias : {false, true}) {
    AttentionConfig config = causal({4, 2, 4}, bias);
    config.rule = {.divisor = 1.5};
    ops::Parameters packed, apart;
    const Attention self(packed, "a", config, {});
    config.cross = true;
    const Attention cross(apart, "a", config, {});
    fill(packed, GetParam(), 0.5);
    fill(apart, GetParam(), 0.5);
    {
      const at::NoGradGuard no_grad;  // by name, since the declaration order differs
      for (const auto& to : apart.named())
        for (const auto& from : packed.named())
          if (from.spec->name == to.spec->name) to.value.copy_(from.value);
      apart.refresh_compute();
    }
    const at::Tensor
        x = ops::test::numbers({B, T, kWidth}, 1).to(GetParam().dtype).to(GetParam().device),
        other = x.clone();
    const at::Tensor scores_bias =
        ops::test::numbers({4, 2 * T - 1}, 3).to(GetParam().master()).to(GetParam().device);
    const at::Tensor want = self.forward(x, {.bias_HR = scores_bias}, GetParam().context());
    const at::Tensor got =
        cross.forward(x, {.bias_HR = scores_bias, .encoded_BSD = other}, GetParam().context());
    ops::test::expect_close(got, want, tolerance(GetParam().dtype), "output");
  }
}

INSTANTIATE_TEST_SUITE_P(All, Attentions, ::testing::ValuesIn(ops::test::all_settings()),
                         ops::test::setting_name);

TEST(Attention, DeclaresItsMatricesByName) {
  ops::Parameters parameters;
  const Attention attention(parameters, "a", causal({4, 2, 3}, true), {});
  std::vector<std::string> names;
  for (const ops::ParameterSpec* spec : parameters.specs()) {
    names.push_back(spec->name);
    EXPECT_EQ(spec->decay, spec->shape.size() == 2) << spec->name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a.q.weight", "a.k.weight", "a.v.weight", "a.q.bias",
                                             "a.k.bias", "a.v.bias", "a.o.weight", "a.o.bias"}));
  EXPECT_EQ(parameters.num_parameters(), (12 + 6 + 6) * kWidth + 24 + 12 * kWidth + kWidth);
}

TEST(Attention, CrossAttentionNeedsAnEncodedSequence) {
  ops::Parameters parameters;
  AttentionConfig config = causal({4, 2, 3}, false);
  config.cross = true;
  const Attention attention(parameters, "a", config, {});
  fill(parameters, {}, 0.5);
  EXPECT_EQ(parameters.num_parameters(), (12 + 6 + 6) * kWidth + 12 * kWidth);
  const at::Tensor x = at::zeros({1, T, kWidth});
  EXPECT_THROW(attention.forward(x, {}, {}), InvariantError);
}

TEST(Attention, SelfAttentionRejectsAnEncodedSequence) {
  ops::Parameters parameters;
  const Attention attention(parameters, "a", causal({4, 2, 3}, false), {});
  fill(parameters, {}, 0.5);
  const at::Tensor x = at::zeros({1, T, kWidth});
  EXPECT_THROW(attention.forward(x, {.encoded_BSD = x}, {}), InvariantError);
}

TEST(Attention, RejectsRotaryTablesOfAnotherShape) {
  ops::Parameters parameters;
  const Attention attention(parameters, "a", causal({2, 2, 4}, false), {});
  fill(parameters, {}, 0.5);
  const at::Tensor x = at::zeros({1, T, kWidth});
  EXPECT_THROW(attention.forward(x, {.rotary = ops::Rotary::make(T, 2, kTheta, at::kCPU)}, {}),
               InvariantError);
  EXPECT_THROW(attention.forward(x, {.rotary = ops::Rotary::make(T - 1, 4, kTheta, at::kCPU)}, {}),
               InvariantError);
}

}  // namespace
}  // namespace sluice::nn::test
