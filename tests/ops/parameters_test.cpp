#include "ops/parameters.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "ops/linear.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

constexpr Init kNormal{Init::Kind::kNormal, 0.5};

Parameters example() {
  Parameters parameters;
  parameters.add({{"q", {5, 4}, kNormal, true}, {"k", {3, 4}, kNormal, true}});
  parameters.add(ParameterSpec{"scale", {7}, {Init::Kind::kOnes}, false});
  parameters.add({ParameterSpec{"embedding", {10, 4}, kNormal, true}}, 64);
  return parameters;
}

at::Tensor value_of(const Parameters& parameters, const std::string& name) {
  for (const auto& parameter : parameters.named())
    if (parameter.spec->name == name) return parameter.value;
  throw InvariantError("no parameter " + name);
}

TEST(Parameters, CountsAndSizesAreKnownBeforeAllocation) {
  const Parameters parameters = example();
  EXPECT_EQ(parameters.num_parameters(), 20 + 12 + 7 + 40);
  EXPECT_EQ(parameters.arena_elements(), 32 + 32 + 256);
  EXPECT_EQ(parameters.specs().size(), 4u);
  EXPECT_EQ(parameters.specs()[1]->name, "k");
}

TEST(Parameters, SlotsAreAlignedViewsOfOneBuffer) {
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    Parameters parameters;
    const Weight* first = parameters.add(ParameterSpec{"a", {3, 5}, kNormal, true});
    const Weight* second = parameters.add(ParameterSpec{"b", {9}, kNormal, false});
    EXPECT_FALSE(first->defined());
    parameters.allocate(at::kCPU, compute, true);
    for (const Weight* weight : {first, second}) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weight->value.data_ptr()) % 64, 0u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weight->compute.data_ptr()) % 64, 0u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weight->value.grad().data_ptr()) % 64, 0u);
      EXPECT_EQ(weight->compute.scalar_type(), compute);
      EXPECT_TRUE(weight->value.is_leaf() && weight->value.requires_grad());
    }
    parameters.initialize(1);
    EXPECT_EQ(parameters.master()[0].item<float>(), first->value[0][0].item<float>());
    EXPECT_TRUE(at::equal(second->compute, second->value.to(compute)));
  }
}

TEST(Parameters, BackwardAccumulatesIntoTheFlatGradient) {
  for (const Form form : {Form::kReference, Form::kFastest}) {
    Parameters parameters = example();
    const Weight* table = parameters.add(ParameterSpec{"head", {6, 4}, kNormal, true});
    parameters.allocate(at::kCPU, at::kFloat, true);
    parameters.initialize(1);
    const void* memory = parameters.gradient().data_ptr();
    for (int pass = 0; pass < 2; ++pass)
      linear(at::ones({2, 4}), *table, nullptr, {.form = form}).sum().backward();
    EXPECT_EQ(parameters.gradient().data_ptr(), memory);
    EXPECT_EQ(parameters.gradient().sum().item<float>(), 2 * 2 * 24.0f);
    EXPECT_EQ(parameters.named().back().gradient.sum().item<float>(), 2 * 2 * 24.0f);
  }
}

TEST(Parameters, GapsAndPaddedRowsAreZero) {
  Parameters parameters = example();
  parameters.allocate(at::kCPU, at::kFloat, false);
  parameters.initialize(3);
  double named = 0;
  for (const auto& parameter : parameters.named()) {
    named += parameter.value.abs().sum().item<double>();
    EXPECT_EQ(parameter.value.data_ptr<float>(),
              parameters.master().data_ptr<float>() + parameter.offset);
    EXPECT_FALSE(parameter.gradient.defined());
  }
  EXPECT_NEAR(parameters.master().abs().sum().item<double>(), named, 1e-4);
  EXPECT_FALSE(parameters.gradient().defined());
}

TEST(Parameters, InitialValuesDependOnlyOnNameAndSeed) {
  Parameters packed = example(), alone;
  alone.add(ParameterSpec{"embedding", {10, 4}, kNormal, true});
  alone.add(ParameterSpec{"k", {3, 4}, kNormal, true});
  packed.allocate(at::kCPU, at::kFloat, false);
  alone.allocate(at::kCPU, at::kBFloat16, true);
  packed.initialize(11);
  alone.initialize(11);
  for (const char* name : {"k", "embedding"})
    EXPECT_TRUE(at::equal(value_of(packed, name), value_of(alone, name)));
  alone.initialize(12);
  EXPECT_FALSE(at::equal(value_of(packed, "k"), value_of(alone, "k")));
  EXPECT_FALSE(at::equal(value_of(packed, "q").narrow(0, 0, 3), value_of(packed, "k")));
}

TEST(Parameters, NormalValuesHaveTheRequestedStd) {
  Parameters parameters;
  parameters.add(ParameterSpec{"w", {300, 300}, {Init::Kind::kNormal, 0.02}, true});
  parameters.allocate(at::kCPU, at::kFloat, false);
  parameters.initialize(5);
  const at::Tensor w = value_of(parameters, "w");
  EXPECT_NEAR(w.std().item<double>(), 0.02, 0.02 * 4 / std::sqrt(2 * 90000.0));
  EXPECT_NEAR(w.mean().item<double>(), 0, 0.02 * 4 / 300);
}

TEST(Parameters, RejectsInvalidUse) {
  Parameters parameters = example();
  EXPECT_THROW(parameters.add({{"a", {2, 4}, {}, true}, {"b", {2, 5}, {}, true}}), InvariantError);
  EXPECT_THROW(parameters.add(ParameterSpec{"scalar", {}, {}, false}), InvariantError);
  EXPECT_THROW(parameters.add(ParameterSpec{"empty", {0, 3}, {}, false}), InvariantError);
  EXPECT_THROW(parameters.named(), InvariantError);
  EXPECT_THROW(parameters.allocate(at::kCPU, at::kHalf, true), InvariantError);
  parameters.allocate(at::kCPU, at::kFloat, true);
  EXPECT_THROW(parameters.allocate(at::kCPU, at::kFloat, true), InvariantError);
  EXPECT_THROW(parameters.add(ParameterSpec{"late", {2}, {}, false}), InvariantError);
}

// Values within the limit equal those of the untruncated normal; the others are redrawn.
TEST(Parameters, TruncatedValuesStayWithinTheirLimit) {
  constexpr std::int64_t kElements = 100000;
  Parameters truncated, whole;
  truncated.add(ParameterSpec{
      "w", {kElements}, {.kind = Init::Kind::kTruncatedNormal, .std = 0.5, .limit = 2}, true});
  whole.add(ParameterSpec{"w", {kElements}, kNormal, true});
  for (Parameters* parameters : {&truncated, &whole}) {
    parameters->allocate(at::kCPU, at::kFloat, false);
    parameters->initialize(3);
  }
  const at::Tensor got = value_of(truncated, "w"), plain = value_of(whole, "w"),
                   within = plain.abs().le(1.0);
  EXPECT_LE(got.abs().max().item<float>(), 1.0f);
  EXPECT_TRUE(at::equal(got.masked_select(within), plain.masked_select(within)));
  EXPECT_NEAR(within.to(at::kDouble).mean().item<double>(), 0.9545, 0.004);
  // The variance of a standard normal truncated at ±2 is 1 − 4 φ(2) / (Φ(2) − Φ(−2)) = 0.7737.
  EXPECT_NEAR(got.to(at::kDouble).square().mean().item<double>() / 0.25, 0.7737, 0.01);
  EXPECT_NEAR(got.to(at::kDouble).mean().item<double>(), 0, 0.01);
}

TEST(Parameters, UniformValuesFillTheirInterval) {
  Parameters parameters;
  parameters.add(ParameterSpec{"table", {20000}, {.kind = Init::Kind::kUniform, .limit = 0.3}});
  parameters.allocate(at::kCPU, at::kFloat, false);
  parameters.initialize(3);
  const at::Tensor values = value_of(parameters, "table").to(at::kDouble);
  EXPECT_LE(values.abs().max().item<double>(), 0.3);
  EXPECT_NEAR(values.max().item<double>(), 0.3, 1e-3);
  EXPECT_NEAR(values.min().item<double>(), -0.3, 1e-3);
  EXPECT_NEAR(values.square().mean().item<double>() / 0.03, 1, 0.03);
}

}  // namespace
}  // namespace sluice::ops::test
