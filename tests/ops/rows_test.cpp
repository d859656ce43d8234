// The inference forms against float64, and the independence of rows: a row computed with others has
// the bits of the row computed alone, for every instruction set.
#include "ops/rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/machine.h"
#include "ops/activations.h"
#include "ops/attention_forms.h"
#include "ops/key_values.h"
#include "ops/norm.h"
#include "ops/relative_bias.h"
#include "ops/row_kernels.h"
#include "tests/ops/settings.h"

namespace sluice::ops {
namespace {

using test::numbers;

at::Tensor floats(std::vector<std::int64_t> sizes, std::uint64_t seed, double scale = 1) {
  return numbers(std::move(sizes), seed, scale).to(at::kFloat).contiguous();
}
Rows rows_in(const at::Tensor& x) { return {x.data_ptr<float>(), x.size(0), x.size(1)}; }
bool same_bits(const float* a, const float* b, std::int64_t count) {
  return std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof(float)) == 0;
}

Weight weight_of(const at::Tensor& value, at::ScalarType compute) {
  return {.value = value, .compute = value.to(compute)};
}

void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  EXPECT_LT((got.to(at::kDouble) - want).abs().max().item<double>(),
            tolerance * (1 + want.abs().max().item<double>()));
}

struct NamedKernels {
  const char* name;
  const RowKernels* kernels;
  bool available;
};
std::vector<NamedKernels> all_kernels() {
  return {{"baseline", &kBaselineRowKernels, true},
          {"avx2", &kAvx2RowKernels, machine().avx2},
          {"avx512", &kAvx512RowKernels, machine().avx512}};
}

TEST(RowProduct, MatchesFloat64AndDoesNotDependOnOtherRowsOrColumns) {
  for (const NamedKernels& set : all_kernels()) {
    if (!set.available) continue;
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      for (const auto& [inner, outputs] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {1, 1}, {24, 37}, {64, 16}, {131, 9}}) {
        SCOPED_TRACE(::testing::Message() << set.name << " " << type << " " << inner);
        const std::int64_t N = 11;
        const at::Tensor x = floats({N, inner}, 1), w = floats({outputs, inner}, 2).to(type),
                         y = at::empty({N, outputs}), alone = at::empty({1, outputs});
        const auto multiply = [&](std::int64_t row, std::int64_t count, const at::Tensor& to) {
          const RowProduct product{x.data_ptr<float>() + row * inner,
                                   w.const_data_ptr(),
                                   to.data_ptr<float>(),
                                   count,
                                   outputs,
                                   inner,
                                   outputs};
          (type == at::kFloat ? set.kernels->product_f32 : set.kernels->product_bf16)(product);
        };
        multiply(0, N, y);
        expect_close(y, at::matmul(x.to(at::kDouble), w.to(at::kDouble).t()), 1e-6);
        for (std::int64_t row = 0; row < N; ++row) {
          multiply(row, 1, alone);
          EXPECT_TRUE(same_bits(alone.data_ptr<float>(), y[row].data_ptr<float>(), outputs)) << row;
        }
        for (std::int64_t count = 2; count < N; ++count) {
          const at::Tensor part = at::empty({count, outputs});
          multiply(N - count, count, part);
          EXPECT_TRUE(
              same_bits(part.data_ptr<float>(), y[N - count].data_ptr<float>(), count * outputs))
              << count;
        }
      }
    }
  }
}

TEST(RowLinear, AddsTheBiasAndMayLeaveOutRowsOfTheWeight) {
  const at::Tensor x = floats({5, 24}, 1), value = floats({64, 24}, 2), b = floats({64}, 3),
                   y = at::empty({5, 37});
  const Weight weight = weight_of(value, at::kFloat), bias = weight_of(b, at::kFloat);
  row_linear(rows_in(x), weight, &bias, rows_in(y));
  const at::Tensor want = at::matmul(x.to(at::kDouble), value.to(at::kDouble).t()) + b;
  expect_close(y, want.narrow(1, 0, 37), 1e-6);
  EXPECT_THROW(row_linear(rows_in(floats({5, 23}, 1)), weight, nullptr, rows_in(y)),
               InvariantError);
}

// A large product is divided among threads by columns.
TEST(RowLinear, DoesNotDependOnTheNumberOfThreads) {
  const Weight weight = weight_of(floats({1000, 300}, 2), at::kBFloat16);
  const at::Tensor x = floats({7, 300}, 1), one = at::empty({7, 1000}), four = at::empty({7, 1000});
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  row_linear(rows_in(x), weight, nullptr, rows_in(one));
  at::set_num_threads(4);
  row_linear(rows_in(x), weight, nullptr, rows_in(four));
  at::set_num_threads(before);
  EXPECT_TRUE(same_bits(one.data_ptr<float>(), four.data_ptr<float>(), one.numel()));
}

TEST(RowNorm, EqualsTheNormsOfTraining) {
  for (const bool centered : {false, true}) {
    const at::Tensor x = floats({9, 37}, 1, 3), y = at::empty({9, 37});
    const Weight scale = weight_of(floats({37}, 2), at::kFloat),
                 bias = weight_of(floats({37}, 3), at::kFloat);
    row_norm(rows_in(x), {&scale, centered ? &bias : nullptr, 1e-5, centered}, rows_in(y));
    const at::Tensor want = centered ? layer_norm(x, scale, &bias, 1e-5, at::kFloat, {})
                                     : rms_norm(x, scale, 1e-5, at::kFloat, {});
    expect_close(y, want.to(at::kDouble), 1e-6);
    for (std::int64_t row = 0; row < 9; ++row) {
      const at::Tensor alone = at::empty({1, 37}), input = x[row].clone().unsqueeze(0);
      row_norm(rows_in(input), {&scale, centered ? &bias : nullptr, 1e-5, centered},
               rows_in(alone));
      EXPECT_TRUE(same_bits(alone.data_ptr<float>(), y[row].data_ptr<float>(), 37)) << row;
    }
  }
}

TEST(RowActivation, EqualsTheReference) {
  const at::Tensor ab = floats({3, 50}, 1, 2), gated = at::empty({3, 25}),
                   plain = at::empty({3, 50});
  row_activation(rows_in(ab), kSwish, true, rows_in(gated));
  expect_close(gated, (swish_reference(ab.narrow(1, 0, 25)) * ab.narrow(1, 25, 25)).to(at::kDouble),
               1e-6);
  row_activation(rows_in(ab), kSquaredRelu, false, rows_in(plain));
  expect_close(plain, squared_relu_reference(ab).to(at::kDouble), 1e-6);
}

TEST(RowActivation, TakesLearnedScalarsAndASecondFactor) {
  const at::Tensor ab = floats({3, 50}, 1, 2), gated = at::empty({3, 25}),
                   plain = at::empty({3, 50});
  const Weight two = weight_of(floats({2}, 4), at::kFloat),
               four = weight_of(floats({4}, 4), at::kFloat);
  row_activation(rows_in(ab), kXielu, false, rows_in(plain), &two);
  expect_close(plain, xielu_reference(ab, two.value).to(at::kDouble), 1e-6);
  row_activation(rows_in(ab), kPolyNorm, false, rows_in(plain), &four);
  expect_close(plain, poly_norm_reference(ab, four.value).to(at::kDouble), 1e-6);
  row_activation(rows_in(ab), kDoubleRelu, true, rows_in(gated));
  expect_close(gated,
               (at::relu(ab.narrow(1, 0, 25)) * at::relu(ab.narrow(1, 25, 25))).to(at::kDouble),
               1e-6);
  EXPECT_THROW(row_activation(rows_in(ab), kXielu, false, rows_in(plain)), InvariantError);
}

// Attention of all positions against the reference form in float64, with grouped queries, rotary
// positions and a relative bias.
TEST(Attend, EqualsCausalAttention) {
  for (const std::int64_t D : {6, 64, 80}) {
    for (const bool relative : {false, true}) {
      SCOPED_TRACE(::testing::Message() << D << " " << relative);
      const AttentionShape shape{.num_heads = 4, .num_kv_heads = 2, .head_dim = D};
      const std::int64_t T = 75, columns = shape.query_columns();
      const at::Tensor qkv = floats({T, shape.packed_columns()}, 1), y = at::empty({T, columns});
      const Rotary rotary = relative ? Rotary{} : Rotary::make(T, D, 10000, at::kCPU);
      const at::Tensor bias = relative ? floats({4, 2 * T - 1}, 5) : at::Tensor();
      const at::Tensor want = reference_attention(
          {.q = qkv.to(at::kDouble).unsqueeze(0), .rotary = rotary, .bias_HR = bias}, shape,
          {.causal = true, .divisor = 3.0}, {});
      const at::Tensor rotated = qkv.clone();
      KeyValues cache(shape);
      std::vector<KeyValues*> caches(T, &cache);
      std::vector<std::int64_t> positions, num_keys;
      for (std::int64_t t = 0; t < T; ++t) {
        float* row = rotated.data_ptr<float>() + t * shape.packed_columns();
        if (rotary.defined()) rotate_heads(row, 6, rotary, t);
        cache.write(t, row + columns, row + columns + 2 * D);
        positions.push_back(t);
        num_keys.push_back(t + 1);
      }
      attend({rows_in(rotated), caches, num_keys, positions}, shape, {3.0, bias}, rows_in(y));
      expect_close(y, want[0], 1e-5);
      const at::Tensor alone = at::empty({1, columns});
      for (const std::int64_t t : {0L, 15L, 16L, 33L, 74L}) {
        const at::Tensor query = rotated[t].clone().unsqueeze(0);
        attend({rows_in(query), std::span(caches).first(1), std::span(num_keys).subspan(t, 1),
                std::span(positions).subspan(t, 1)},
               shape, {3.0, bias}, rows_in(alone));
        EXPECT_TRUE(same_bits(alone.data_ptr<float>(), y[t].data_ptr<float>(), columns)) << t;
      }
    }
  }
}

TEST(Attend, RejectsKeysThatAreNotCached) {
  const AttentionShape shape{.num_heads = 1, .num_kv_heads = 1, .head_dim = 2};
  KeyValues cache(shape);
  const at::Tensor query = at::zeros({1, 6}), y = at::zeros({1, 2});
  const std::vector<KeyValues*> caches{&cache};
  const std::vector<std::int64_t> one{1}, none{0};
  const auto attend_to = [&](const std::vector<std::int64_t>& num_keys) {
    attend({rows_in(query), caches, num_keys, none}, shape, {}, rows_in(y));
  };
  EXPECT_THROW(attend_to(one), InvariantError);
  cache.write(0, query.data_ptr<float>(), query.data_ptr<float>());
  EXPECT_NO_THROW(attend_to(one));
  EXPECT_THROW(attend_to(none), InvariantError);
}

}  // namespace
}  // namespace sluice::ops
