#include "ops/attention.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "ops/attention_forms.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

struct Sizes {
  std::int64_t batch, length;
  AttentionShape shape;
  bool rotary;
};

class Attention : public ::testing::TestWithParam<Setting> {};

Rotary rotary_for(const Sizes& size, const Setting& setting) {
  if (!size.rotary) return {};
  const Rotary made = Rotary::make(size.length + 3, size.shape.head_dim, 10000, setting.device);
  return {made.cos.to(setting.master()), made.sin.to(setting.master())};
}

// Backward uses the rounded output of forward (delta = dy · y) and rounds its result: twice the
// roundings of other ops.
constexpr double kGradientFactor = 2;
// LibTorch's implementation also rounds the rotated q and k, the probabilities, and dK and dV of
// each query head.
constexpr double kLibraryGradientFactor = 4;

using AttentionForm = at::Tensor (*)(const AttentionInputs&, const AttentionShape&,
                                     const AttentionRule&);

// `form`: the implementation to test; nullptr: the one selected by attention().
Run run_of(Sizes size, AttentionForm form = nullptr) {
  return [=](const Setting& setting) {
    const at::Tensor qkv = leaf(numbers({size.batch, size.length, size.shape.packed_columns()}, 1),
                                setting, setting.dtype);
    const Rotary rotary = rotary_for(size, setting);
    const bool named = form != nullptr && setting.dtype != at::kDouble;
    const AttentionRule rule{.causal = true,
                             .divisor = std::sqrt(static_cast<double>(size.shape.head_dim))};
    const AttentionInputs inputs{.q = qkv, .rotary = rotary};
    const at::Tensor y = named ? form(inputs, size.shape, rule)
                               : attention(inputs, size.shape, rule, setting.context());
    EXPECT_EQ(y.scalar_type(), setting.dtype);
    y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
    return std::vector<at::Tensor>{y, qkv.grad()};
  };
}

// A single position; lengths below and above the tile size; grouped queries; odd, large head_dim.
const Sizes kSizes[] = {
    {2, 1, {2, 2, 8}, true},    {2, 37, {3, 3, 16}, true},  {1, 64, {2, 1, 64}, true},
    {2, 130, {4, 2, 32}, true}, {1, 200, {1, 1, 7}, false}, {3, 65, {6, 3, 64}, false},
    {1, 70, {2, 2, 128}, true},
};

TEST_P(Attention, EqualsFloat64) {
  for (const Sizes& size : kSizes) {
    SCOPED_TRACE(::testing::Message()
                 << "length " << size.length << ", heads " << size.shape.num_heads << "/"
                 << size.shape.num_kv_heads << " of " << size.shape.head_dim);
    expect_equals_float64(
        GetParam(), run_of(size),
        GetParam().has_library_attention() ? kLibraryGradientFactor : kGradientFactor);
  }
}

// Tested explicitly: the one selected by attention() depends on the machine.
TEST_P(Attention, EveryImplementationEqualsFloat64) {
  for (const auto form : {&library_attention, &tiled_attention}) {
    if (form == &tiled_attention && GetParam().device.is_cuda()) continue;
    const double factor = form == &library_attention ? kLibraryGradientFactor : kGradientFactor;
    for (const Sizes& size : {kSizes[1], kSizes[3], kSizes[5]})
      expect_equals_float64(GetParam(), run_of(size, form), factor);
  }
}

TEST_P(Attention, NoFuturePositionChangesThePast) {
  const Setting& setting = GetParam();
  const AttentionShape shape{2, 1, 16};
  const at::Tensor qkv = numbers({1, 100, shape.packed_columns()}, 1)
                             .to(at::TensorOptions().dtype(setting.dtype).device(setting.device));
  const Rotary rotary = Rotary::make(100, 16, 10000, setting.device);
  const at::Tensor before = causal_attention(qkv, shape, rotary, setting.context());
  const at::Tensor changed = qkv.clone();
  changed.narrow(1, 60, 40).mul_(-3);
  const at::Tensor after = causal_attention(changed, shape, rotary, setting.context());
  EXPECT_TRUE(at::equal(before.narrow(1, 0, 60), after.narrow(1, 0, 60)));
  EXPECT_FALSE(at::equal(before.narrow(1, 60, 40), after.narrow(1, 60, 40)));
}

TEST_P(Attention, IsRepeatable) {
  const std::vector<at::Tensor> first = run_of(kSizes[3])(GetParam()),
                                second = run_of(kSizes[3])(GetParam());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i]));
}

INSTANTIATE_TEST_SUITE_P(All, Attention, ::testing::ValuesIn(all_settings()), setting_name);

TEST(Attention, SoftmaxInTheComputeDtype) { expect_reductions_in_compute_dtype(run_of(kSizes[3])); }

TEST(Attention, ReferenceMatchesScaledDotProductAttention) {
  const AttentionShape shape{4, 2, 6};
  const at::Tensor qkv = numbers({2, 9, shape.packed_columns()}, 1),
                   heads = qkv.view({2, 9, 8, 6}).transpose(1, 2);
  const at::Tensor k = heads.narrow(1, 4, 2).repeat_interleave(2, 1),
                   v = heads.narrow(1, 6, 2).repeat_interleave(2, 1);
  const at::Tensor want =
      at::scaled_dot_product_attention(heads.narrow(1, 0, 4), k, v, {}, 0.0, /*is_causal=*/true);
  expect_close(causal_attention(qkv, shape, {}, exact().context()),
               want.transpose(1, 2).reshape({2, 9, 24}), 1e-12, "attention");
}

TEST(Attention, RotationUsesTheDocumentedAngles) {
  const Rotary rotary = Rotary::make(50, 8, 100.0, at::kCPU);
  EXPECT_EQ(rotary.cos.sizes(), (std::vector<std::int64_t>{50, 4}));
  for (std::int64_t t : {0, 1, 49})
    for (std::int64_t i = 0; i < 4; ++i) {
      const double angle =
          static_cast<double>(t) * std::pow(100.0, -2.0 * static_cast<double>(i) / 8);
      EXPECT_NEAR(rotary.cos[t][i].item<double>(), std::cos(angle), 1e-7);
      EXPECT_NEAR(rotary.sin[t][i].item<double>(), std::sin(angle), 1e-7);
    }
}

TEST(Attention, RotationDependsOnlyOnDistance) {
  // With equal q and k at every position, weights depend only on positions. A table shifted by 20
  // must give the same output.
  const AttentionShape shape{1, 1, 8};
  const at::Tensor v = numbers({1, 30, 8}, 2), qk = numbers({1, 1, 16}, 1).expand({1, 30, 16}),
                   qkv = at::cat({qk, v}, -1);
  const Rotary rotary = Rotary::make(50, 8, 100.0, at::kCPU);
  const Rotary here{rotary.cos.to(at::kDouble), rotary.sin.to(at::kDouble)},
      shifted{here.cos.narrow(0, 20, 30), here.sin.narrow(0, 20, 30)};
  expect_close(causal_attention(qkv, shape, shifted, exact().context()),
               causal_attention(qkv, shape, here, exact().context()), 1e-6, "shifted");
}

TEST(Attention, RejectsWrongShapes) {
  EXPECT_THROW(causal_attention(at::zeros({1, 2, 10}), {2, 2, 4}, {}, Context{}), InvariantError);
  EXPECT_THROW(causal_attention(at::zeros({1, 2, 28}), {3, 2, 4}, {}, Context{}), InvariantError);
  EXPECT_THROW(causal_attention(at::zeros({1, 5, 12}), {1, 1, 4},
                                Rotary::make(4, 4, 10000, at::kCPU), Context{}),
               InvariantError);
  EXPECT_THROW(Rotary::make(4, 5, 10000, at::kCPU), InvariantError);
}

}  // namespace
}  // namespace sluice::ops::test
